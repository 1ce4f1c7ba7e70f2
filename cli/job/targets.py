"""Which jobs a command is about, by their words; and doing something to each, one failure not ending the rest."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import typer

from cli import clock, console
from cli.connection import AT_ONCE
from cli.exits import Exit
from cli.explain.jobs import JOB_UID, AnyJob, stands_for_another
from cli.job import belonging
from cli.job.choosing import Wanted
from cli.job.pick import choose, may_be_name, refuse_empty
from cli.job.reading import read_jobs, read_names, read_whole
from cli.meant import must_be_meant
from cli.selection import Current
from reconciler.cluster import Cluster
from reconciler.cluster import find as cluster_find
from reconciler.errors import JobqError, NotFound, UsageError
from reconciler.kinds import JOB, WORKLOAD
from reconciler.wording import counted, shortened

_BY_NAME = 64
"""How many names are asked for one by one; more are found in the list of all."""


@dataclass(frozen=True, slots=True)
class Words:
    """What was said: names, or ``--all`` with what narrows it."""

    names: Sequence[str]
    all: bool
    wanted: Wanted
    everyone: bool

    def __post_init__(self) -> None:
        """Raises: UsageError where nothing is meant, or two things."""
        if self.all == bool(self.names):
            raise UsageError("name jobs, or say --all" if not self.all else "either names or --all")
        if self.wanted.statuses and not self.all:
            raise UsageError("--status goes with --all")
        for name in self.names:
            refuse_empty(name)


class Refused(JobqError):
    """It could be tried, and would come to nothing: exit 4."""


@dataclass(frozen=True, slots=True)
class Found:
    """The jobs that the words mean, each once, and the words that mean none."""

    jobs: Sequence[AnyJob]
    missing: Sequence[JobqError]


def find(cluster: Cluster, current: Current, words: Words) -> Found:
    """The jobs. Whole names are asked for alone, other words among all names. Raises: UsageError, ClusterError."""
    if words.all:
        wanted = Wanted("" if words.everyone else current.caller.name, words.wanted.statuses)
        return Found(wanted.of(read_jobs(cluster, current.entry, positions=False).jobs, clock.now()), ())
    named = _by_whole_names(cluster, current.entry.namespace, words.names)
    if named is not None:
        return Found(named, ())
    jobs = {job.uid: job for job in read_names(cluster, current.entry.namespace)}
    bodies = [job.body for job in jobs.values()]
    found, missing = dict[str, AnyJob](), list[JobqError]()
    for word in words.names:
        try:
            body = choose(bodies, word, current, everyone=words.everyone)
            uid = body["metadata"]["uid"]
            found[uid] = found.get(uid) or read_whole(cluster, jobs[uid])
        except NotFound as error:
            missing.append(error)
    return Found(list(found.values()), missing)


def one(cluster: Cluster, current: Current, word: str, *, everyone: bool) -> AnyJob:
    """The one job that the word means, with all that is known of it. Raises: UsageError, ClusterError."""
    found = find(cluster, current, Words([word], all=False, wanted=Wanted(), everyone=everyone))
    if found.missing:
        raise found.missing[0]
    return found.jobs[0]


def with_pods(cluster: Cluster, current: Current, word: str, *, way: str) -> AnyJob:
    """The one job that the word means, for what its pods have; a Job by its whole name without its Workload, at once.

    ``way`` is what of kubectl does the same. Raises: UsageError, ClusterError; JobqError for a kind whose pods can't be
    told.
    """
    refuse_empty(word)
    named = cluster_find(cluster, JOB, word, current.entry.namespace) if may_be_name(word) else None
    if named and not stands_for_another(named):
        return AnyJob(JOB, named, None)
    job = one(cluster, current, word, everyone=False)
    belonging.refuse_unknown(job, way)
    return job


def again(deed: str, current: Current, words: Words, found: Found) -> str:
    """The command that means the same jobs where nobody is there to be asked: all options, and whole names."""
    if not words.all:
        return current.command(deed, *sorted(one.name for one in found.jobs))
    statuses = ["--status", ",".join(sorted(words.wanted.statuses)).lower()] if words.wanted.statuses else []
    return current.command(deed, "--all", *statuses, *(["--everyone"] if words.everyone else []))


def only_whole(words: Words, found: Found, command: str) -> None:
    """Where nobody watches, a beginning may mean another job tomorrow. Raises: UsageError."""
    names = {job.name for job in found.jobs}
    short = [word for word in words.names if word not in names]
    if found.jobs and short and not words.all and not console.asks():
        raise UsageError(
            f"{shortened(short)} {'is' if len(short) == 1 else 'are'} no job's whole name, and nobody is there to ask",
            hint=f"{command} --yes",
        )


def must_be_meant_for(
    jobs: Sequence[AnyJob], deed: str, *, yes: bool, after: str = "", left: str, command: str
) -> None:
    """Ask about these jobs by name. Ends the command where the answer is no. Raises: UsageError."""
    many = f"{counted(len(jobs), 'job')}: " if len(jobs) > 1 else ""
    question = f"{deed} {many}{shortened([job.name for job in jobs])}{after}?"
    must_be_meant(question, yes=yes, left=left, command=command)


def say_if_none(found: Found) -> None:
    """Where nothing was to be done."""
    if not found.jobs and not found.missing:
        console.talk("no such jobs")


def to_each(found: Found, deed: Callable[[AnyJob], str]) -> None:
    """Do it to all, side by side, and tell of each. Ends the command where any failed, or wasn't found.

    Exit 1 where all failed, 5 where some, 4 where the rest was refused.
    """
    codes = []
    for error in found.missing:
        console.complain(error)
        codes.append(Exit.ERROR)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for result in pool.map(lambda job: _attempt(job, deed), found.jobs):
            if isinstance(result, JobqError):
                console.complain(result)
                codes.append(Exit.REFUSED if isinstance(result, Refused) else Exit.ERROR)
            else:
                console.out(console.plain(result))
                codes.append(Exit.DONE)
    code = _together(codes)
    if code:
        raise typer.Exit(code)


def _together(codes: Sequence[Exit]) -> Exit:
    if Exit.ERROR in codes:
        return Exit.ERROR if set(codes) == {Exit.ERROR} else Exit.PARTLY
    return Exit.REFUSED if Exit.REFUSED in codes else Exit.DONE


def _attempt(job: AnyJob, deed: Callable[[AnyJob], str]) -> str | JobqError:
    try:
        return deed(job)
    except JobqError as error:
        if "failed calling webhook" in str(error):
            error.hint = "Kueue doesn't answer: nothing was changed, try again in a moment"
        return error


def _by_whole_names(cluster: Cluster, namespace: str, names: Sequence[str]) -> Sequence[AnyJob] | None:
    """The Jobs of these names with their Workloads, in few requests; None where one is no Job's name."""
    if len(names) > _BY_NAME or not all(map(may_be_name, names)):
        return None
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            bodies = list(pool.map(lambda name: cluster.get(JOB, name, namespace=namespace), dict.fromkeys(names)))
    except NotFound:
        return None
    if any(map(stands_for_another, bodies)):
        return None
    uids = ",".join(body["metadata"]["uid"] for body in bodies)
    workloads = cluster.list(WORKLOAD, namespace=namespace, labels=f"{JOB_UID} in ({uids})").items
    by_job = {workload["metadata"]["labels"][JOB_UID]: workload for workload in workloads}
    now = clock.now()
    return [AnyJob(JOB, body, by_job.get(body["metadata"]["uid"]), now) for body in bodies]
