"""The job that is admitted, and whose pods don't come or don't start."""

import re
from collections.abc import Callable, Sequence

from cli import parts
from cli.explain import reserved, scheduling, words
from cli.explain.answer import Answer, Code
from cli.explain.evidence import Evidence
from cli.explain.status import GRACE
from cli.fit import words as amounts
from cli.parts import Json

_SECURITY = re.compile(r'violates PodSecurity "([^":]+)[^"]*": (.*)', re.DOTALL)
_QUOTA = re.compile(r"exceeded quota: (\S+?), requested: (\S+?)=([^,\s]+).*?limited: \S+?=([^,\s]+)")
_MUST = re.compile(r"failed quota: (\S+?): must specify (.*)")
_ACCOUNT = re.compile(r'service account \S*?([^/\s]+): serviceaccounts? "|serviceaccounts? "([^"]+)" not found')
_POD_CLASS = re.compile(r"no PriorityClass with name (\S+) was found")
_NOT_FOUND = re.compile(r'\b(secret|configmap|config map)s? "?([^"\s]+)"? not found', re.IGNORECASE)
_NO_KEY = re.compile(r"couldn't find key (\S+) in (Secret|ConfigMap) (?:\S+/)?(\S+)")
_CLAIM = re.compile(r'persistentvolumeclaims? "([^"]+)" not found')
_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_IMAGE |= {"RegistryUnavailable", "SignatureValidationFailed", "ErrInvalidImageName"}
_CONFIG = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError"}
_CONFIG |= {"PreStartHookError", "PostStartHookError", "CreatePodSandboxError"}
_BACKING_OFF = re.compile(r'^Back-off pulling image "[^"]*"(?:: )?')
_DENIED = ("unauthorized", "authentication required", "denied", "403 forbidden", "401")
_ABSENT = ("not found", "notfound", "manifest unknown", "does not exist")
_AWAY = ("no such host", "i/o timeout", "connection refused", "deadline exceeded", "network is unreachable")


def pods(evidence: Evidence) -> Answer | None:
    """Why an admitted job has no process at work."""
    if evidence.workload and not evidence.admitted:
        return None
    living = alive(evidence)
    if not living and evidence.kind != "Job" and parts.holds(evidence.workload, "PodsReady"):
        return None  # of some kinds nobody knows how to find the pods
    if not living:
        return _none(evidence)
    if any(runs(pod) or crashes(pod) for pod in living):
        return None
    return trouble(evidence, living) or _starting(evidence, living)


def alive(evidence: Evidence) -> Sequence[Json]:
    """The pods that haven't ended."""
    return [pod for pod in evidence.pods if parts.text(pod, "status", "phase") not in {"Succeeded", "Failed"}]


def runs(pod: Json) -> bool:
    """Whether a process of it is at work."""
    return parts.text(pod, "status", "phase") == "Running" and not _waiting(pod)


def crashes(pod: Json) -> Sequence[int]:
    """The exit codes of its containers that wait to be started again."""
    found = []
    for one in parts.items(pod, "status", "containerStatuses"):
        if parts.text(one, "state", "waiting", "reason") == "CrashLoopBackOff":
            code = parts.number(one, "lastState", "terminated", "exitCode")
            found.append(1 if code is None else code)
    return found


def trouble(evidence: Evidence, living: Sequence[Json]) -> Answer | None:
    """What keeps the first of these pods that says so from starting."""
    for pod in living:
        for look in (_unscheduled, _image, _config, _mount):
            if found := look(evidence, pod):
                return found
    return None


def _none(evidence: Evidence) -> Answer | None:
    if evidence.pods:
        return None
    for message in evidence.said_of(evidence.kind, "FailedCreate"):
        if found := next(filter(None, (read(evidence, message) for read in _REFUSALS)), None):
            return found
        sentence = f"Has its quota, but its pods can't be created: {words.plain(_shortened(message))}."
        return Answer(Code.UNKNOWN, sentence, "Delete it and submit it without what is refused, or ask the admins.")
    when = parts.instant(parts.condition(evidence.workload, "Admitted"), "lastTransitionTime")
    if evidence.since(when) < GRACE:
        return Answer(Code.JUST_ADMITTED, "Admitted just now: its pods are about to be made.", "Ask again in a moment.")
    sentence = f"Admitted{words.since(when, evidence)}, and no pod can be seen yet: nobody says why."
    return Answer(Code.STARTING, sentence, "Wait a moment; tell the admins if it stays so.")


def _security(_: Evidence, message: str) -> Answer | None:
    found = _SECURITY.search(message)
    if not found:
        return None
    level, what = found[1], words.plain(re.sub(r" \((?:volumes?|containers?) [^()]*\)", "", found[2])) or "its settings"
    sentence = f"Has its quota, but its pods are refused by the project's security level ({level}): {what}."
    action = (
        "Delete it; mount a PVC instead (--volume NAME:/path)."
        if "hostPath" in what
        else "Delete it and submit it without that; jobq submit writes pods that are allowed."
    )
    return Answer(Code.POD_SECURITY_REFUSED, sentence, action)


def _quota(_: Evidence, message: str) -> Answer | None:
    if found := _QUOTA.search(message):
        name, resource, asked, limit = found.groups()
        bare = resource.removeprefix("requests.").removeprefix("limits.")
        most, wants = (amounts.plainly(bare, parts.quantity(one)) for one in (limit, asked))
        which = " as limits" if resource.startswith("limits.") else ""
        return Answer(
            Code.QUOTA_REFUSES_PODS,
            f"Has its quota in the queue, but the namespace's ResourceQuota {name} allows {most}{which} ({resource}), "
            f"its pod asks for {wants.split(' ')[0]}.",
            f"Tell the admins: jobq never sets compute quotas; or ask for at most {most}.",
        )
    if found := _MUST.search(message):
        lacking = words.plain(found[2]).replace(" for: ", " of ")
        return Answer(
            Code.QUOTA_REFUSES_PODS,
            f"Has its quota in the queue, but the namespace's ResourceQuota {found[1]} wants every pod to say "
            f"{lacking}, and its pod does not.",
            "Tell the admins: jobq never sets compute quotas; or submit it with what is missing.",
        )
    return None


def _account(_: Evidence, message: str) -> Answer | None:
    found = _ACCOUNT.search(message)
    if not found:
        return None
    name = found[1] or found[2]
    return Answer(
        Code.SERVICE_ACCOUNT_MISSING,
        f"Has its quota, but its pods can't be created: the service account {name} does not exist in this project.",
        "Delete it and submit with jobq, which uses jobq-runner."
        if name != "jobq-runner"
        else "Tell the admins: the project is incomplete (jobq reconcile puts it back).",
    )


def _pod_class(_: Evidence, message: str) -> Answer | None:
    found = _POD_CLASS.search(message)
    if not found:
        return None
    sentence = f"Has its quota, but its pods can't be created: there is no PriorityClass {found[1].rstrip(',.')}."
    return Answer(
        Code.PRIORITY_CLASS_MISSING, sentence, "Delete it and submit with --priority, which names another sort."
    )


_REFUSALS: Sequence[Callable[[Evidence, str], Answer | None]] = (_security, _quota, _account, _pod_class)


def _unscheduled(evidence: Evidence, pod: Json) -> Answer | None:
    message = scheduling.message_of(pod)
    if not message or parts.text(pod, "spec", "nodeName"):
        return None
    if claim := scheduling.claim_trouble(evidence, message):
        return _volume(claim)
    living = alive(evidence)
    why = scheduling.no_node(message, evidence, pod)
    holds = reserved.holding(evidence)
    which = "pod fits" if len(living) == 1 else f"{len(living)} pods fit"
    meanwhile = f" It holds {holds} of quota meanwhile." if holds else ""
    return Answer(
        Code.UNSCHEDULABLE,
        f"Has its quota, but its {which} no node: {why}.{meanwhile}",
        node_action(evidence, message),
    )


def node_action(evidence: Evidence, message: str) -> str:
    """What helps where no node fits: never more quota."""
    pod = evidence.pod_sets[0].pod if evidence.pod_sets else {}
    if "affinity/selector" in message and scheduling.selector_of(pod):
        return "Delete it and submit without that node selector."
    if "Insufficient" in message:
        return "Wait until a node is free, or ask for less per pod; more nodes would help, more quota would not."
    return "Wait, or tell the admins: the quota is there, the nodes are not."


def _image(evidence: Evidence, pod: Json) -> Answer | None:
    for state, image in _waiting(pod):
        reason = parts.text(state, "reason")
        if reason not in _IMAGE:
            continue
        tried = [one for one in evidence.said_of("Pod", "Failed") if "pull" in one]  # older kubelets say why only there
        message = " ".join(
            [re.sub(r'^Back-off pulling image "[^"]*"(?:: )?', "", parts.text(state, "message")), *tried[:1]]
        )
        if "InvalidImageName" in reason:
            sentence = f"Has its quota, but its image name is not valid: '{image}'."
            return Answer(Code.IMAGE_PULL, sentence, "Delete it and submit with a valid --image.")
        low = message.lower()
        action = "Check the name and tag; delete the job and submit with --image."
        if any(word in low for word in _DENIED):
            why = f"the registry refuses {image}: it may be private, or not exist"
            action = "Check the name; ask a maintainer for a pull secret (imagePullSecrets of the project)."
        elif any(word in low for word in _ABSENT):
            why = f"{image} was not found"
        elif any(word in low for word in _AWAY):
            why = f"the registry of {image} can't be reached"
            action = "Wait, it is tried again; check the registry's name, or tell the admins."
        else:
            why = f"{image}{f': {words.plain(message)}' if message.strip() else f' ({reason})'}"
        return Answer(Code.IMAGE_PULL, f"Has its quota, but its image can't be pulled: {why}.", action)
    return None


def _config(_: Evidence, pod: Json) -> Answer | None:
    for state, _image_name in _waiting(pod):
        reason, message = parts.text(state, "reason"), parts.text(state, "message")
        if reason in _CONFIG:
            return _misses(message) or Answer(
                Code.CONFIG_ERROR,
                f"Has its quota, but its container can't start: {words.plain(message) or reason}.",
                "Delete it, correct that, and submit again.",
            )
    return None


def _misses(message: str) -> Answer | None:
    if found := _NOT_FOUND.search(message):
        kind, name = found[1].lower().replace(" ", ""), found[2]
        sentence = f"Has its quota, but its container can't start: {kind} {name} not found."
        action = f"Create the {kind}, or submit without {f'--secret {name}' if kind == 'secret' else 'it'}."
        return Answer(Code.CONFIG_ERROR, sentence, action)
    if found := _NO_KEY.search(message):
        sentence = f"Has its quota, but its container can't start: {found[2].lower()} {found[3]} has no key {found[1]}."
        return Answer(Code.CONFIG_ERROR, sentence, f"Put the key {found[1]} into it, or submit without it.")
    return None


def _mount(evidence: Evidence, pod: Json) -> Answer | None:
    if not parts.text(pod, "spec", "nodeName"):
        return None
    for reason in ("FailedMount", "FailedAttachVolume"):
        for message in evidence.said_of("Pod", reason):
            if claim := _CLAIM.search(message):
                return _volume(f"the volume claim {claim[1]} does not exist")
            return _misses(message) or _volume(f"a volume can't be mounted: {words.plain(_shortened(message))}")
    return None


def _volume(why: str) -> Answer:
    return Answer(
        Code.VOLUME_MISSING,
        f"Has its quota, but its pod can't start: {why}.",
        "Check the name given to --volume (kubectl get pvc shows those there are); a maintainer can create one.",
    )


def _starting(evidence: Evidence, living: Sequence[Json]) -> Answer:
    pod = living[0]
    node = parts.text(pod, "spec", "nodeName")
    pulling = any(parts.text(one, "reason") == "Pulling" for one in evidence.events)
    doing = "pulls the image" if pulling and evidence.said_of("Pod", "Pulling") else "is being set up"
    if parts.text(parts.condition(pod, "PodScheduled"), "reason") == "SchedulingGated":
        doing, node = "waits for its scheduling gates", ""
    which = "its pod is" if len(living) == 1 else f"its {len(living)} pods are"
    where = f"{which} on {node} and {doing}" if node and len(living) == 1 else ""
    where = where or (
        f"{which} being set up" if node else f"{which} not on a node yet" if "gates" not in doing else doing
    )
    return Answer(Code.STARTING, f"Starting: {where}.", "Wait.")


def _waiting(pod: Json) -> Sequence[tuple[Json, str]]:
    """Containers that wait with a reason, and their images."""
    statuses = [*parts.items(pod, "status", "initContainerStatuses"), *parts.items(pod, "status", "containerStatuses")]
    found = [(parts.mapping(one, "state", "waiting"), parts.text(one, "image")) for one in statuses]
    images = [parts.text(one, "image") for one in parts.items(pod, "spec", "containers")]
    return [(state, image or next(iter(images), "the image")) for state, image in found if state]


def _shortened(message: str) -> str:
    """An event without the name of one pod of many."""
    return re.sub(r'^Error creating: (?:pods "[^"]*" is forbidden: )?', "", message)
