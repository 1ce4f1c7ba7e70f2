"""The job that was not accepted: what the API server answered to its creation."""

import re
from collections.abc import Callable, Sequence

from cli import parts
from cli.explain import words
from cli.explain.answer import Answer, Code
from cli.explain.evidence import Evidence

_COUNT = re.compile(r"requested: (\S+)=\d+, used: \S+=(\d+), limited: \S+=(\d+)")
_NOT_ALLOWED = re.compile(r'User "([^"]+)" cannot (\w+) resource "([^"]+)"')
_ABOVE = re.compile(r'Invalid value: "([^"]+)": must be less than or equal to (\S+) limit(?: of (\S+))?')
_WEBHOOK = re.compile(r'failed calling webhook "([^"]+)"')
_SECONDS = re.compile(r"[?&]timeout=(\d+)s")
_CLASS = re.compile(r"priority ?class(?:Name)? (\S+) is not allowed")
_DENIED = re.compile(r"denied request: (.*)", re.DOTALL)


def refused(evidence: Evidence) -> Answer | None:
    """Why there is no job."""
    if not evidence.refused:
        return None
    message = parts.text(evidence.refused, "body", "message") or parts.text(evidence.refused, "message")
    return next(filter(None, (read(evidence, message) for read in _READINGS)), None) or _other(evidence, message)


def _kueue(_: Evidence, message: str) -> Answer | None:
    found = _WEBHOOK.search(message)
    if not found:
        return None
    if not found[1].endswith(".kb.io"):
        sentence = f"Not submitted: the webhook {found[1]} does not answer. Nothing was created."
        return Answer(Code.UNKNOWN, sentence, "Try again; tell the admins if it lasts.")
    waited = _SECONDS.search(message)
    ran_out = f" (its webhook timed out after {waited[1]} s)" if waited and "deadline exceeded" in message else ""
    sentence = f"Not submitted: Kueue does not answer{ran_out}. Nothing was created."
    return Answer(Code.KUEUE_UNAVAILABLE, sentence, "Try again; tell the admins if it lasts.")


def _count(evidence: Evidence, message: str) -> Answer | None:
    found = _COUNT.search(message) if "exceeded quota" in message else None
    if not found or "count/" not in found[1]:
        return None
    done = evidence.command("delete", "--all", "--status succeeded,failed")
    kind = found[1].removeprefix("count/").split(".")[0]
    sentence = f"Not submitted: the project has {found[2]} of {found[3]} {kind}."
    action = f"Delete finished jobs (`{done}`), or ask a maintainer to raise limits.jobs."
    return Answer(Code.JOB_COUNT_EXCEEDED, sentence, action)


def _forbidden(evidence: Evidence, message: str) -> Answer | None:
    found = _NOT_ALLOWED.search(message)
    if not found:
        return None
    sentence = f"Not submitted: {found[1]} may not {found[2]} {found[3]} in the project {evidence.project}."
    action = f"Ask a maintainer of {evidence.project}, or pick one of your own projects (`jobq project list --mine`)."
    return Answer(Code.FORBIDDEN, sentence, action)


def _going(evidence: Evidence, message: str) -> Answer | None:
    if "being terminated" not in message:
        return None
    sentence = f"Not submitted: the namespace of the project {evidence.project} is being deleted."
    return Answer(Code.FORBIDDEN, sentence, "Choose another project (`jobq project list --mine`).")


def _priority(_: Evidence, message: str) -> Answer | None:
    found = _CLASS.search(message)
    if not found:
        return None
    sentence = f"Not submitted: {words.plain(_said(message))}."
    return Answer(Code.PRIORITY_CLASS_NOT_ALLOWED, sentence, "Submit with a --priority that the project allows.")


def _resources(evidence: Evidence, message: str) -> Answer | None:
    where = " ".join([*_fields(evidence), message])
    if "resources" not in where and "quantities must match" not in where:
        return None
    if _status(evidence) not in {400, 422} or "labels" in message:
        return None
    above = _ABOVE.search(message)
    if above:
        limit = f" the limit {above[3]}" if above[3] else " its limit"
        sentence = f"Not submitted: {above[2]} request {above[1]} is above{limit}."
        return Answer(Code.INVALID_RESOURCES, sentence, "Correct the request or the limit.")
    sentence = f"Not submitted: its resources are not valid: {words.plain(_said(message))}."
    return Answer(
        Code.INVALID_RESOURCES, sentence, "Correct the amounts: requests and limits are such as 2, 500m, 8Gi."
    )


def _label(evidence: Evidence, message: str) -> Answer | None:
    where = " ".join([*_fields(evidence), message])
    if "metadata.labels" not in where and "metadata.annotations" not in where:
        return None
    which = "annotation" if "metadata.annotations" in where and "metadata.labels" not in where else "label"
    sentence = f"Not submitted: a {which} of the job is not valid: {words.plain(_said(message))}."
    return Answer(Code.INVALID_LABEL, sentence, f"Correct the {which}, or submit with `jobq submit`, which sets them.")


def _other(evidence: Evidence, message: str) -> Answer:
    status = _status(evidence)
    if status == 401:  # noqa: PLR2004 - HTTP's Unauthorized
        sentence = "Not submitted: the cluster does not know you any more, as far as it says."
        return Answer(Code.FORBIDDEN, sentence, "Log in again, and submit again.")
    if status == 403 or "denied request: " in message or "denied the request: " in message:  # noqa: PLR2004 - Forbidden
        sentence = f"Not submitted: the cluster refuses it: {words.plain(_said(message)) or 'forbidden'}."
        action = f"Change what it names, or ask a maintainer of {evidence.project}."
        return Answer(Code.FORBIDDEN, sentence, action)
    said = words.plain(_said(message)) or (f"HTTP {status}" if status else "the server gave no answer")
    passing = status == 429 or status >= 500  # noqa: PLR2004 - HTTP's Too Many Requests, and its servers' errors
    action = (
        "Try again; tell the admins if it lasts." if passing else "Correct that and submit again; else ask the admins."
    )
    return Answer(Code.UNKNOWN, f"Not submitted: {said}.", action)


def _status(evidence: Evidence) -> int:
    return parts.number(evidence.refused, "status") or parts.number(evidence.refused, "body", "code") or 0


def _fields(evidence: Evidence) -> Sequence[str]:
    causes = parts.items(evidence.refused, "body", "details", "causes")
    return [parts.text(one, "field") for one in causes]


def _said(message: str) -> str:
    """The end of a message, without what names the object and the policy."""
    found = _DENIED.search(message) or re.search(r"denied the request: (.*)", message, re.DOTALL)
    if found:
        return found[1].strip()
    return re.sub(r'^\S+ "[^"]*" is (?:invalid|forbidden): ', "", message)


_READINGS: Sequence[Callable[[Evidence, str], Answer | None]] = (
    _kueue,
    _count,
    _forbidden,
    _going,
    _priority,
    _label,
    _resources,
)
