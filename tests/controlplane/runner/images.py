"""What would become of an image; pure.  No image is ever fetched: tags stage the errors of a registry."""

import re
from dataclasses import dataclass

COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?"
NAME = re.compile(
    rf"(?:{HOST}/)?{COMPONENT}(?:/{COMPONENT})*(?::(?P<tag>\w[\w.-]{{0,127}}))?(?:@[a-z0-9]+:[0-9a-fA-F]{{32,}})?",
    re.ASCII,
)
STAGED = {
    "missing": "rpc error: code = NotFound desc = failed to pull and unpack image {image}: "
    "failed to resolve reference {image}: {image}: not found",
    "denied": "rpc error: code = Unknown desc = failed to pull and unpack image {image}: "
    "failed to resolve reference {image}: pull access denied, repository does not exist or may require authorization: "
    "server message: insufficient_scope: authorization failed",
}


@dataclass(frozen=True, slots=True)
class ImageProblem:
    """Why a container can't be started from its image: the waiting reason and a kubelet's message."""

    reason: str
    message: str


def problem_of(image: str) -> ImageProblem | None:
    """None for an image that would do."""
    match = NAME.fullmatch(image)
    if not match:
        why = f'couldn\'t parse image name "{image}": invalid reference format'
        return ImageProblem("InvalidImageName", f'Failed to apply default image tag "{image}": {why}')
    staged = STAGED.get(match["tag"] or "")
    return ImageProblem("ErrImagePull", staged.format(image=f'"{image}"')) if staged else None
