"""The pod whose image doesn't come: why, in the words of registries and container runtimes."""

import re
from collections.abc import Sequence

from cli import parts
from cli.explain import words
from cli.explain.answer import Answer, Code
from cli.explain.containers import waiting
from cli.explain.evidence import Evidence
from cli.parts import Json

_REASONS = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_REASONS |= {"RegistryUnavailable", "SignatureValidationFailed", "ErrInvalidImageName"}
_BACKING_OFF = re.compile(r'^Back-off pulling image "[^"]*"(?:: )?')
_CHECK = "Check the name and tag; delete the job and submit with --image."
_OTHER = "Check the name and tag; delete the job and submit it with another image for that container."
_KNOWN: Sequence[tuple[re.Pattern[str], str, str]] = (
    (
        re.compile(r"no match(?:ing manifest)? for platform|no matching manifest"),
        "{} is not built for the processor of its node",
        "Delete it and submit with an image for that processor, or build one for several.",
    ),
    (
        re.compile(r"toomanyrequests|too many requests|rate limit"),
        "the registry of {} takes no more requests for now",
        "Wait, it is tried again; a maintainer can give the project a pull secret of its own.",
    ),
    (
        re.compile(r"unauthorized|authentication required|authorization failed|\bdenied\b|\b40[13]\b"),
        "the registry refuses {}: it may be private, or not exist",
        "Check the name; ask a maintainer for a pull secret (imagePullSecrets of the project).",
    ),
    (
        re.compile(r"pull policy of never"),
        "{} is not on its node, and its pull policy is Never",
        "Delete it and submit without that pull policy.",
    ),
    (re.compile(r"no space left"), "the disk of its node is full, {} has no room", "Tell the admins."),
    (
        re.compile(r"x509"),
        "its node doesn't trust the certificate of the registry of {}",
        "Check the registry's name, or tell the admins.",
    ),
    (re.compile(r"not ?found|manifest unknown|does not exist"), "{} was not found", _CHECK),
    (
        re.compile(
            r"no such host|i/o timeout|connection refused|connection reset|deadline exceeded|network is unreachable"
        ),
        "the registry of {} can't be reached",
        "Wait, it is tried again; check the registry's name, or tell the admins.",
    ),
)


def unpulled(evidence: Evidence, pod: Json) -> Answer | None:
    """What keeps the image of one of its containers away."""
    for state, image in waiting(pod):
        reason = parts.text(state, "reason")
        if "InvalidImageName" in reason:
            sentence = f"Has its quota, but its image name is not valid: '{image}'."
            return Answer(Code.IMAGE_PULL, sentence, "Delete it and submit with a valid --image.")
        if reason in _REASONS:
            why, action = _why(evidence, pod, state, image)
            own = next((parts.text(one, "image") for one in parts.items(pod, "spec", "containers")), image)
            action = _OTHER if action == _CHECK and image != own else action
            return Answer(Code.IMAGE_PULL, f"Has its quota, but its image can't be pulled: {why}.", action)
    return None


def _why(evidence: Evidence, pod: Json, state: Json, image: str) -> tuple[str, str]:
    tried = [one for one in evidence.said_of_pod(pod, "Failed") if "pull" in one]  # older kubelets say why only there
    message = " ".join([_BACKING_OFF.sub("", parts.text(state, "message")), *tried[:1]])
    bare = message.lower().replace(image.lower(), "")  # a tag may look like a number of HTTP
    for pattern, why, action in _KNOWN:
        if pattern.search(bare):
            return why.format(image), action
    said = f": {words.plain(message)}" if message.strip() else f" ({parts.text(state, 'reason')})"
    return f"{image}{said}", _CHECK
