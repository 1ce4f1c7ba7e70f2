"""The job that is admitted, and whose pods don't come or don't start."""

import re
from collections.abc import Sequence

from cli import parts
from cli.explain import containers, reserved, scheduling, words
from cli.explain.answer import Answer, Code
from cli.explain.evidence import Evidence
from cli.explain.images import unpulled
from cli.explain.status import GRACE
from cli.explain.uncreated import uncreated
from cli.parts import Json

_NOT_FOUND = re.compile(r'\b(secret|configmap|config map)s? "?([^"\s]+)"? not found', re.IGNORECASE)
_NO_KEY = re.compile(r"couldn't find key (\S+) in (Secret|ConfigMap) (?:\S+/)?(\S+)")
_CLAIM = re.compile(r'persistentvolumeclaims? "([^"]+)" not found')
_VOLUME = re.compile(r'for volume "([^"]+)"')
_UNCOUNTED = "uncountedTerminatedPods"
_CONFIG = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError"}
_CONFIG |= {"PreStartHookError", "PostStartHookError", "CreatePodSandboxError"}


def pods(evidence: Evidence) -> Answer | None:
    """Why an admitted job has no process at work."""
    if evidence.workload and not evidence.admitted:
        return None
    living = evidence.living
    if not living and evidence.kind != "Job" and parts.holds(evidence.workload, "PodsReady"):
        return None  # of some kinds nobody knows how to find the pods
    if not living and (elsewhere := parts.text(evidence.workload, "status", "clusterName")):
        return _elsewhere(evidence, elsewhere)
    if not living:
        return _none(evidence)
    if any(runs(pod) or containers.crashing(pod) for pod in living):
        return None
    return trouble(evidence, living) or _starting(evidence, living)


def runs(pod: Json) -> bool:
    """Whether a process of it is at work."""
    return parts.text(pod, "status", "phase") == "Running" and not containers.waiting(pod)


def trouble(evidence: Evidence, living: Sequence[Json]) -> Answer | None:
    """What keeps the first of these pods that says so from starting."""
    for pod in living:
        for look in (_unscheduled, unpulled, _config, _mount):
            if found := look(evidence, pod):
                return found
    return None


def _none(evidence: Evidence) -> Answer | None:
    """Why there is no pod, as far as anybody says."""
    counted = parts.mapping(evidence.job, "status")
    ended = counted.get("failed") or counted.get("succeeded") or any(parts.mapping(counted, _UNCOUNTED).values())
    if evidence.pods or counted.get("ready") or (ended and not counted.get("active")):
        return None  # they have ended, or are there and can't be seen
    return uncreated(evidence) or _awaited(evidence)


def _awaited(evidence: Evidence) -> Answer:
    when = parts.instant(parts.condition(evidence.workload, "Admitted"), "lastTransitionTime")
    admitted = f"Admitted{words.since(when, evidence)}"
    if number := parts.number(evidence.job, "status", "active"):
        sentence = (
            f"Starting: {number} pod{'s are' if number > 1 else ' is'} made, but not ready; why can't be seen here."
        )
        return Answer(Code.STARTING, sentence, f"Wait; `{evidence.command('status', evidence.name)}` shows its pods.")
    if evidence.since(when) < GRACE:
        return Answer(Code.JUST_ADMITTED, "Admitted just now: its pods are about to be made.", "Ask again in a moment.")
    if evidence.kind == "Job":
        sentence = f"{admitted}, and no pod can be seen yet: nobody says why."
        return Answer(Code.STARTING, sentence, "Wait a moment; tell the admins if it stays so.")
    look = f"Wait; events and status of the {evidence.kind} itself say more, whoever made it can look at them."
    if parts.condition(evidence.workload, "PodsReady"):
        return Answer(Code.STARTING, f"{admitted}; its pods are not all ready yet, and can't be seen here.", look)
    return Answer(Code.RUNNING, f"{admitted}, and taken to run: its pods can't be seen here.", look)


def _elsewhere(evidence: Evidence, cluster: str) -> Answer:
    """What MultiKueue has sent to another cluster: its pods are there, only the job's counts come back."""
    ready = parts.number(evidence.job, "status", "ready") or parts.number(evidence.job, "status", "active")
    when = parts.instant(parts.condition(evidence.workload, "Admitted"), "lastTransitionTime")
    action = f"Wait; its pods and logs are on the cluster {cluster}."
    if ready:
        counted = f" ({ready} pod{'s' if ready > 1 else ''})"
        sentence = f"Running on the cluster {cluster}{words.since(when, evidence)}{counted}."
        return Answer(Code.RUNNING, sentence, action)
    sentence = f"Starting: sent to the cluster {cluster}{words.at(when, evidence)}, which reports no pods yet."
    return Answer(Code.STARTING, sentence, action)


def _unscheduled(evidence: Evidence, pod: Json) -> Answer | None:
    message = scheduling.message_of(pod)
    if not message or parts.text(pod, "spec", "nodeName"):
        return None
    if claim := scheduling.claim_trouble(evidence, message):
        return _volume(claim) if "no volume yet" not in claim else _unbound(evidence, claim)
    living = evidence.living
    homeless = [one for one in living if scheduling.message_of(one) and not parts.text(one, "spec", "nodeName")]
    why = scheduling.no_node(message, evidence, pod)
    holds = reserved.holding(evidence)
    some = f"{len(homeless)} of " if len(homeless) < len(living) else ""
    fit = "fits" if len(homeless) == 1 else "fit"
    which = f"its pod {fit}" if len(living) == 1 else f"{some}its {len(living)} pods {fit}"
    meanwhile = f" It holds {holds} of quota meanwhile." if holds else ""
    return Answer(
        Code.UNSCHEDULABLE,
        f"Has its quota, but {which} no node: {why}.{meanwhile}",
        node_action(evidence, message, pod),
    )


def node_action(evidence: Evidence, message: str, pod: Json) -> str:
    """What helps where no node fits: never more quota."""
    if "affinity/selector" in message and scheduling.selector_of(scheduling.pod_set_of(evidence, pod).pod):
        return "Delete it and submit without that node selector."
    if "affinity/selector" in message and parts.mapping(scheduling.pod_set_of(evidence, pod).pod, "affinity"):
        return "Delete it and submit without that node affinity."
    if "Insufficient" in message:
        return "Wait until a node is free, or ask for less per pod; more nodes would help, more quota would not."
    return "Wait, or tell the admins: the quota is there, the nodes are not."


def _config(_: Evidence, pod: Json) -> Answer | None:
    for state, _image_name in containers.waiting(pod):
        reason, message = parts.text(state, "reason"), parts.text(state, "message")
        if reason in _CONFIG:
            return _misses(message) or Answer(
                Code.CONFIG_ERROR,
                f"Has its quota, but its container can't start: {words.plain(message) or reason}.",
                "Delete it, correct that, and submit again.",
            )
    return None


def _misses(message: str) -> Answer | None:
    if found := containers.NO_COMMAND.search(message):
        sentence = f"Has its quota, but its container can't start: its image has no command {found[1]}."
        return Answer(Code.CONFIG_ERROR, sentence, "Delete it; correct the command or the image, and submit again.")
    if found := _NOT_FOUND.search(message):
        kind, name = found[1].lower().replace(" ", ""), found[2]
        sentence = f"Has its quota, but its container can't start: {kind} {name} not found."
        action = (
            f"Ask a maintainer of the project to create the secret, or submit without --secret {name}."
            if kind == "secret"
            else f"Create the {kind}, or submit without it."
        )
        return Answer(Code.CONFIG_ERROR, sentence, action)
    if found := _NO_KEY.search(message):
        who = "Ask a maintainer of the project to put" if found[2] == "Secret" else "Put"
        sentence = f"Has its quota, but its container can't start: {found[2].lower()} {found[3]} has no key {found[1]}."
        return Answer(Code.CONFIG_ERROR, sentence, f"{who} the key {found[1]} into it, or submit without it.")
    return None


def _mount(evidence: Evidence, pod: Json) -> Answer | None:
    if not parts.text(pod, "spec", "nodeName"):
        return None
    for reason in ("FailedMount", "FailedAttachVolume"):
        for message in evidence.said_of_pod(pod, reason):
            if claim := _CLAIM.search(message):
                return _volume(f"the volume claim {claim[1]} does not exist")
            if "Multi-Attach" in message:
                return _elsewhere_in_use(message)
            return _misses(message) or _unmounted(message)
    return None


def _unmounted(message: str) -> Answer:
    """The claim is there, its storage doesn't answer or refuses."""
    which, said = _VOLUME.search(message), message.rpartition("\nOutput: ")[2]
    what = f"the volume {which[1]}" if which else "a volume"
    sentence = f"Has its quota, but its pod can't start: {what} can't be mounted: {words.plain(said)}."
    return Answer(Code.VOLUME_MISSING, sentence, "Wait, it is tried again; tell the admins if it stays so.")


def _elsewhere_in_use(message: str) -> Answer:
    user = re.search(r"used by pod\(s\) (.+)", message)
    who = f"the pod {words.plain(user[1])}" if user else "a pod"
    sentence = f"Has its quota, but its pod can't start: its volume is in use by {who} on another node."
    action = "Wait until that has ended, or use a volume that several nodes can mount (ReadWriteMany)."
    return Answer(Code.VOLUME_MISSING, sentence, action)


def _unbound(evidence: Evidence, why: str) -> Answer:
    claims = scheduling.claims_of(evidence)
    which = f"the claim {words.listed(claims)}" if claims else "its claim"
    action = f"Wait; the events of {which} say why, a maintainer can help."
    return Answer(Code.VOLUME_MISSING, f"Has its quota, but its pod can't start: {why}.", action)


def _volume(why: str) -> Answer:
    return Answer(
        Code.VOLUME_MISSING,
        f"Has its quota, but its pod can't start: {why}.",
        "Check the name given to --volume; a maintainer knows the claims there are, and can create one.",
    )


def _starting(evidence: Evidence, living: Sequence[Json]) -> Answer:
    pod, alone = living[0], len(living) == 1
    node = parts.text(pod, "spec", "nodeName")
    which = "its pod is" if alone else f"its {len(living)} pods are"
    pulling = evidence.said_of_pod(pod, "Pulling") and not evidence.said_of_pod(pod, "Pulled")
    preparing = containers.preparing(pod)
    about = f"runs its init container {preparing}" if preparing else "pulls the image" if pulling else ""
    where = f"{which} on {node} and {about or 'is being set up'}" if alone else f"{which} being set up"
    if parts.text(parts.condition(pod, "PodScheduled"), "reason") == "SchedulingGated":
        gates = [parts.text(one, "name") for one in parts.items(pod, "spec", "schedulingGates")]
        about = "waits for its scheduling gates"
        where = f"waits for its scheduling gate{'s' if gates[1:] else ''} {words.listed(gates)}".rstrip()
    elif not node:
        about = "not on a node yet"
        where = f"{which} {about}"
    troubled = next(iter(evidence.said_of_pod(pod, "FailedCreatePodSandBox")), "") if node else ""
    trouble_ = f". Its node had trouble with that: {words.plain(troubled)}" if troubled else ""
    return Answer(Code.STARTING, f"Starting: {where}{trouble_}.", "Wait.", about)
