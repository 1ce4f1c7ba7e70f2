"""What an adoption means for what lives in a namespace: a table of remarks, each a sentence for the admin who asks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from reconciler.administration.adoption import Adoptee
from reconciler.comparing.holdings import has_condition, is_finished, name_of
from reconciler.comparing.ownership import own_entry
from reconciler.model import MANAGED_BY, MANAGER, PRIORITY_LABEL, QUEUE_LABEL, Body, Project
from reconciler.planning.limits import compute_limited
from reconciler.wording import shortened

_ACCOUNTS = frozenset({"", "default", "jobq-runner"})


def remarks(adoptee: Adoptee) -> Iterator[str]:
    """What changes for what lives there, a sentence each; the weightiest first."""
    for remark in _REMARKS:
        yield from remark(adoptee)


def _suspended(adoptee: Adoptee) -> Iterator[str]:
    """The one setting of Kueue's that stops what runs."""
    running = [name_of(job) for job in _unqueued(adoptee)]
    if not running:
        return
    if adoptee.kueue is None:
        yield (
            "Kueue's configuration can't be read: if it says manageJobsWithoutQueueName: true, "
            f"it suspends {shortened(running)} after the next reconcile"
        )
    elif adoptee.kueue.get("manageJobsWithoutQueueName"):
        yield (
            "Kueue manages jobs without a queue here (manageJobsWithoutQueueName): "
            f"it suspends {shortened(running)} after the next reconcile"
        )


def _outside_quota(adoptee: Adoptee) -> Iterator[str]:
    jobs = [name_of(job) for job in _unqueued(adoptee)]
    if jobs:
        label = f"{QUEUE_LABEL}: {adoptee.project.queue}"
        yield f"Jobs without a queue run on outside the quota: {shortened(jobs)}; new ones need the label {label}"
    others = [*_named(adoptee, "Deployment"), *_named(adoptee, "StatefulSet"), *_other_controllers(adoptee)]
    if others:
        yield f"runs on outside the quota: {shortened(others)}"


def _held_back(adoptee: Adoptee) -> Iterator[str]:
    """Served pods that name a queue: Kueue passes them by, until the namespace is one that it manages."""
    bodies = (*adoptee.contents.of("Deployment"), *adoptee.contents.of("StatefulSet"))
    queued = [name_of(body) for body in bodies if QUEUE_LABEL in body["metadata"].get("labels", {})]
    if queued:
        yield f"name a queue, so Kueue holds back their next pods until it admits them: {shortened(queued)}"


def _cron_jobs(adoptee: Adoptee) -> Iterator[str]:
    for cron in adoptee.contents.of("CronJob"):
        template = cron["spec"]["jobTemplate"]
        refusals = [*_account_refusals(template), *_class_refusals(adoptee.project, template)]
        if refusals:
            yield f"CronJob {name_of(cron)}: its next jobs are refused, {' and '.join(refusals)}"
        elif template.get("metadata", {}).get("labels", {}).get(QUEUE_LABEL, "") == "":
            yield f"CronJob {name_of(cron)}: its jobs have no queue, and run outside the quota"


def _queues(adoptee: Adoptee) -> Iterator[str]:
    for queue in adoptee.contents.of("LocalQueue"):
        name, target = name_of(queue), queue["spec"].get("clusterQueue", "")
        mine = [work for work in adoptee.contents.of("Workload") if work["spec"].get("queueName") == name]
        waiting = sum(not has_condition(work, "QuotaReserved") and not has_condition(work, "Finished") for work in mine)
        holding = sum(has_condition(work, "QuotaReserved") and not has_condition(work, "Finished") for work in mine)
        counts = f"{holding} admitted and {waiting} waiting"
        if name == adoptee.project.queue:
            yield f"LocalQueue {name} (ClusterQueue {target}) becomes the project's, with {counts}"
        else:
            way = f"new jobs must name {adoptee.project.queue}"
            yield f"LocalQueue {name} (ClusterQueue {target}) stays, with {counts}; {way}"


def _accounts(adoptee: Adoptee) -> Iterator[str]:
    for account, jobs in _grouped(_open_jobs(adoptee), _account_of).items():
        if account not in _ACCOUNTS:
            text = f"ServiceAccount {account} ({shortened(jobs)})"
            yield f"{text}: running jobs keep it, new ones that name it are refused"


def _tokens(adoptee: Adoptee) -> Iterator[str]:
    users = [
        name_of(pod)
        for pod in adoptee.contents.of("Pod")
        if pod["spec"].get("serviceAccountName", "default") == "default"
        and pod["spec"].get("automountServiceAccountToken") is not True
        and pod.get("status", {}).get("phase") == "Running"
    ]
    if users:
        yield f"the ServiceAccount default will mount no token: felt once these pods are made again: {shortened(users)}"


def _priorities(adoptee: Adoptee) -> Iterator[str]:
    allowed = adoptee.project.priorities
    if allowed is None:
        return
    for name, jobs in _grouped(_open_jobs(adoptee), _class_of).items():
        if name and name not in allowed:
            text = f"priority class {name} ({shortened(jobs)}) isn't in the list: those keep it"
            yield f"{text}, new jobs may have {', '.join(allowed)}"


def _pod_security(adoptee: Adoptee) -> Iterator[str]:
    for warning in adoptee.warnings:
        yield f"the server warns: {warning}"


def _network(adoptee: Adoptee) -> Iterator[str]:
    own = {manifest.ref.name for manifest in adoptee.manifests if manifest.ref.kind == "Service"}
    services = [name_of(body) for body in adoptee.contents.of("Service") if name_of(body) not in own]
    if services and any(manifest.ref.kind == "NetworkPolicy" for manifest in adoptee.manifests):
        yield f"NetworkPolicies come: Services here can then be reached only as the project says: {shortened(services)}"


def _quotas(adoptee: Adoptee) -> Iterator[str]:
    for quota in adoptee.contents.of("ResourceQuota"):
        keys = compute_limited(quota)
        if keys and own_entry(quota) is None:
            text = f"ResourceQuota {name_of(quota)} limits {', '.join(keys)} beside Kueue: it stays"
            yield f"{text}, and can refuse pods of admitted jobs"


def _access(adoptee: Adoptee) -> Iterator[str]:
    expected = (*adoptee.settings.expected_bindings, f"{MANAGER}:*")
    for binding in adoptee.contents.of("RoleBinding"):
        if not any(fnmatchcase(name_of(binding), pattern) for pattern in expected):
            people = [subject["name"] for subject in binding.get("subjects") or ()]
            role = binding["roleRef"]["name"]
            yield f"RoleBinding {name_of(binding)} gives {role} to {shortened(people) or 'nobody'}: it stays"


def _limits(adoptee: Adoptee) -> Iterator[str]:
    most, there = adoptee.project.limits.jobs, len(adoptee.contents.of("Job"))
    if most is not None and there > most:
        yield f"there are {there} Jobs, and limits.jobs is {most}: new ones are refused until fewer are left"


def _labels(adoptee: Adoptee) -> Iterator[str]:
    manager = adoptee.namespace["metadata"].get("labels", {}).get(MANAGED_BY, MANAGER)
    if manager != MANAGER:
        yield f"the label {MANAGED_BY} was {manager}: {manager} may take the namespace for no longer its own"


def _taken_over(adoptee: Adoptee) -> Iterator[str]:
    others = [ref for ref in adoptee.taken_over if not ref.startswith("LocalQueue ")]
    if others:
        yield f"reconcile takes over what has the project's names: {shortened(others)}"


def _unreadable(adoptee: Adoptee) -> Iterator[str]:
    for kind, reason in adoptee.contents.unreadable.items():
        yield f"{kind}s are not known: {reason}"


_REMARKS: Sequence[Callable[[Adoptee], Iterator[str]]] = (
    _suspended,
    _outside_quota,
    _held_back,
    _cron_jobs,
    _queues,
    _accounts,
    _priorities,
    _pod_security,
    _tokens,
    _network,
    _quotas,
    _limits,
    _access,
    _labels,
    _taken_over,
    _unreadable,
)


# ------------------------------------------------------------------------------------------------ of jobs


def _open_jobs(adoptee: Adoptee) -> Sequence[Body]:
    return [job for job in adoptee.contents.of("Job") if not is_finished(job)]


def _unqueued(adoptee: Adoptee) -> Sequence[Body]:
    """Jobs at work that Kueue doesn't know, and that are nobody's part."""
    return [
        job
        for job in _open_jobs(adoptee)
        if QUEUE_LABEL not in job["metadata"].get("labels", {}) and not job["metadata"].get("ownerReferences")
    ]


def _named(adoptee: Adoptee, kind: str) -> list[str]:
    return [f"{kind} {name_of(body)}" for body in adoptee.contents.of(kind)]


def _other_controllers(adoptee: Adoptee) -> list[str]:
    """What pods belong to that is none of the kinds listed: operators' own kinds, or nothing at all."""
    known = {"Job", "ReplicaSet", "StatefulSet"}
    found = set()
    for pod in adoptee.contents.of("Pod"):
        owners = pod["metadata"].get("ownerReferences", ())
        if not owners:
            found.add(f"Pod {name_of(pod)}")
        found |= {f"{owner['kind']} {owner['name']}" for owner in owners if owner["kind"] not in known}
    jobs = (owner for job in _open_jobs(adoptee) for owner in job["metadata"].get("ownerReferences", ()))
    found |= {f"{owner['kind']} {owner['name']}" for owner in jobs if owner["kind"] != "CronJob"}
    return sorted(found)


def _pods_of(job: Body) -> Body:
    return dict(job["spec"]["template"]["spec"])


def _account_of(job: Body) -> str:
    return str(_pods_of(job).get("serviceAccountName", ""))


def _class_of(job: Body) -> str:
    return str(job.get("metadata", {}).get("labels", {}).get(PRIORITY_LABEL, ""))


def _account_refusals(job: Body) -> Iterator[str]:
    account = _account_of(job)
    if account not in _ACCOUNTS:
        yield f"since they run as the ServiceAccount {account}"


def _class_refusals(project: Project, job: Body) -> Iterator[str]:
    name, pods = _class_of(job), str(_pods_of(job).get("priorityClassName", ""))
    if project.priorities is not None and name and name not in project.priorities:
        yield f"since priority class {name} isn't in the list"
    if pods and (project.priorities is not None or pods.startswith("system-")):
        yield f"since their pods have priorityClassName {pods}"


def _grouped(jobs: Sequence[Body], word: Callable[[Body], str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for job in jobs:
        found.setdefault(word(job), []).append(name_of(job))
    return found
