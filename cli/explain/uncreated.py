"""The job that is admitted, and whose pods the API server refuses: what the Job controller says of each try."""

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from cli import parts
from cli.explain import words
from cli.explain.answer import Answer, Code
from cli.explain.evidence import Evidence
from cli.fit import words as amounts

_SECURITY = re.compile(r'violates PodSecurity "([^":]+)[^"]*": (.*)', re.DOTALL)
_WHERE = re.compile(r" \((?:volumes?|(?:pod or )?containers?) [^()]*\)")
_QUOTA = re.compile(r"exceeded quota: (\S+?), requested: (\S+?), used: (\S+?), limited: (\S+)")
_MUST = re.compile(r"failed quota: (\S+?): must specify (.*)")
_ACCOUNT = re.compile(r'service account \S*?([^/\s]+): serviceaccounts? "|serviceaccounts? "([^"]+)" not found')
_POD_CLASS = re.compile(r"no PriorityClass with name (\S+) was found")
_LIMITS = re.compile(
    r"(maximum|minimum) (\S+) usage per (Container|Pod) is (\S+?)"
    r"(?:, but (?:limit|request) is |\. +No )((?<=No )(?:limit|request)|[^\s,\]]+)"
)
_RATIO = re.compile(r"(\S+) max limit to request ratio per (Container|Pod) is (\S+?), but provided ratio is ([\d.]+\d)")
_GO = "Tell the admins: jobq never sets compute quotas"


def uncreated(evidence: Evidence) -> Answer | None:
    """Why its pods can't be created, by the last try that says so."""
    message = next(iter(evidence.said_of(evidence.kind, "FailedCreate")), "")
    if not message:
        return None
    if found := next(filter(None, (read(message) for read in _REFUSALS)), None):
        return found
    what = words.plain(re.sub(r'^Error creating: (?:pods "[^"]*" is forbidden: )?', "", message))
    sentence = f"Has its quota, but its pods can't be created: {what}."
    return Answer(Code.UNKNOWN, sentence, "Delete it and submit it without what is refused, or ask the admins.")


def _security(message: str) -> Answer | None:
    found = _SECURITY.search(message)
    if not found:
        return None
    level, what = found[1], words.plain(_WHERE.sub("", found[2])) or "its settings"
    sentence = f"Has its quota, but its pods are refused by the project's security level ({level}): {what}."
    action = (
        "Delete it; mount a PVC instead (--volume NAME:/path)."
        if "hostPath" in what
        else "Delete it and submit it without that; `jobq submit` writes pods that are allowed."
    )
    return Answer(Code.POD_SECURITY_REFUSED, sentence, action)


def _quota(message: str) -> Answer | None:
    found = _QUOTA.search(message)
    if not found:
        return None
    name = found[1]
    asked, used, limits = (_listed(one) for one in found.groups()[1:])
    zero = Decimal(0)
    over = [key for key in asked if asked[key] + used.get(key, zero) > limits.get(key, zero)] or list(asked)
    resource = next((key for key in over if asked[key] > limits.get(key, zero)), over[0])
    bare = resource.removeprefix("requests.").removeprefix("limits.")
    limit, taken, wants = (amounts.plainly(bare, one.get(resource, zero)) for one in (limits, used, asked))
    which = " as limits" if resource.startswith("limits.") else ""
    written = f" ({resource})" if resource != bare or resource not in limit else ""
    said = f"Has its quota in the queue, but the namespace's ResourceQuota {name} allows {limit}{which}{written}"
    if asked[resource] > limits.get(resource, zero):
        sentence = f"{said}, its pod asks for {wants.split(' ')[0]}."
        return Answer(Code.QUOTA_REFUSES_PODS, sentence, f"{_GO}; or ask for at most {limit}.")
    if limit == taken:
        sentence = f"{said}, all in use, and its pod asks for {wants.split(' ')[0]} more."
    else:
        sentence = f"{said}, {taken.split(' ')[0]} in use, and its pod asks for {wants.split(' ')[0]} more."
    return Answer(Code.QUOTA_REFUSES_PODS, sentence, f"{_GO}; or wait until others have ended.")


def _listed(written: str) -> Mapping[str, Decimal]:
    """``limits.cpu=2,requests.cpu=1`` as amounts."""
    pairs = [one.partition("=") for one in written.split(",")]
    return {key: parts.quantity(value.rstrip(".")) for key, _, value in pairs}


def _must(message: str) -> Answer | None:
    found = _MUST.search(message)
    if not found:
        return None
    lacking = words.plain(found[2]).replace(" for: ", " of ")
    return Answer(
        Code.QUOTA_REFUSES_PODS,
        f"Has its quota in the queue, but the namespace's ResourceQuota {found[1]} wants every pod to say "
        f"{lacking}, and its pod does not.",
        f"{_GO}; or submit it with what is missing.",
    )


def _limits(message: str) -> Answer | None:
    """A LimitRange that came, or was changed, after Kueue had looked at the job."""
    beginning = "Has its quota, but its pods are refused by the project's limits"
    if found := _LIMITS.search(message):
        bound, resource, kind, border, value = found.groups()
        verb, word = ("allows", "most") if bound == "maximum" else ("wants", "least")
        end = amounts.amount(resource, parts.quantity(border))
        is_number = parts.quantity(value) > 0
        asks = f"it asks for {amounts.amount(resource, parts.quantity(value))}" if is_number else f"it has no {value}"
        sentence = f"{beginning}: the project {verb} at {word} {end} {resource} per {kind.lower()}, {asks}."
        return Answer(Code.LIMIT_RANGE_EXCEEDED, sentence, f"Delete it and submit with at {word} {end} {resource}.")
    if found := _RATIO.search(message):
        resource, kind, most, ratio = found.groups()
        sentence = (
            f"{beginning}: the {resource} limit of a {kind.lower()} may be at most {most} times its request, "
            f"here it is {ratio} times."
        )
        action = f"Delete it and submit with a {resource} request nearer to its limit."
        return Answer(Code.LIMIT_RANGE_EXCEEDED, sentence, action)
    return None


def _account(message: str) -> Answer | None:
    found = _ACCOUNT.search(message)
    if not found:
        return None
    name = found[1] or found[2]
    return Answer(
        Code.SERVICE_ACCOUNT_MISSING,
        f"Has its quota, but its pods can't be created: the service account {name} does not exist in this project.",
        "Delete it and submit with jobq, which uses jobq-runner."
        if name != "jobq-runner"
        else "Tell the admins: the project is incomplete (`jobq reconcile` puts it back).",
    )


def _pod_class(message: str) -> Answer | None:
    found = _POD_CLASS.search(message)
    if not found:
        return None
    sentence = f"Has its quota, but its pods can't be created: there is no PriorityClass {found[1].rstrip(',.')}."
    return Answer(
        Code.PRIORITY_CLASS_MISSING, sentence, "Delete it and submit with --priority, which names another sort."
    )


_REFUSALS: Sequence[Callable[[str], Answer | None]] = (_security, _quota, _must, _limits, _account, _pod_class)
