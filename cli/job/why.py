"""``jobq why``."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from cli import console, options, selection
from cli.connection import connect
from cli.explain.answer import Answer
from cli.explain.evidence import Evidence
from cli.explain.reading import evidence_of
from cli.explain.status import status_of
from cli.explain.why import explain
from cli.job import gathering
from cli.job.targets import one
from cli.selection import Current
from reconciler.cluster import Cluster
from reconciler.errors import JobqError, UsageError

EXAMPLES = """
  jobq why train-x7k2p
  jobq why @latest -o json | jq -r .code
  jobq why train --save train.json     # to attach when you ask an admin
  jobq why --evidence train.json       # explains that file, without a cluster
"""
LARGEST = 64 * 2**20
"""Bytes of evidence that are read: no job has that much."""
_STDIN = "-"


def why(
    job: options.JobNameOrNone = "",
    *,
    project: options.ProjectName = "",
    evidence: options.SavedEvidence = "",
    save: options.SaveEvidence = "",
    output: options.TableOutput = "text",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Say why a job is as it is, in a sentence, and what to do about it.

    With -o json: code (stable), sentence, action, job, kind, project, status, position (project, overall; or null).
    """
    if bool(job) == bool(evidence):
        both = "either a job or --evidence FILE, not both" if job else "say which job, or give --evidence FILE"
        raise UsageError(both, hint="jobq why JOB, or jobq why --evidence FILE")
    if evidence and save:
        raise UsageError("--evidence is saved already: --save goes with a JOB")
    raw, option = (_read(evidence), "") if evidence else _ask(job, project, kubeconfig, context)
    if save:
        _save(raw, save)
    _show(evidence_of(raw, option), output)


def as_json(evidence: Evidence, answer: Answer) -> Mapping[str, object]:
    """The documented shape."""
    place = evidence.place
    return {
        **answer.as_json(),
        "job": evidence.name if evidence.job or evidence.workload else None,
        "kind": evidence.kind,
        "project": evidence.project,
        "status": status_of(evidence.job, evidence.workload or None, evidence.now) if evidence.job else None,
        "position": {"project": place.here, "overall": place.overall} if place else None,
    }


def _show(evidence: Evidence, output: str) -> None:
    answer = explain(evidence)
    if output == "json":
        console.out_json(as_json(evidence, answer))
        return
    console.out(console.plain(answer.sentence))
    console.out(console.plain(answer.action))


def _ask(word: str, project: str, kubeconfig: str, context: str) -> tuple[Mapping[str, object], str]:
    """The evidence, and what later commands need to mean the same project."""
    cluster = connect(kubeconfig=kubeconfig, context=context)
    current = selection.current(cluster, project)
    return recorded(cluster, current, word), current.option


def recorded(cluster: Cluster, current: Current, word: str) -> Mapping[str, object]:
    """The evidence about the job that a word means. Raises: NotFound, UsageError, ClusterError."""
    job, around = selection.together(
        lambda: one(cluster, current, word, everyone=False), lambda: gathering.surroundings(cluster, current.entry)
    )
    return gathering.gather(cluster, current, job, around)


def _read(place: str) -> Mapping[str, object]:
    """A recording. Raises: JobqError where it is none."""
    try:
        data = sys.stdin.buffer.read(LARGEST + 1) if place == _STDIN else Path(place).read_bytes()
    except OSError as error:
        raise JobqError(f"{place} can't be read: {error.strerror}") from error
    if len(data) > LARGEST:
        raise JobqError(f"{place} has more than {LARGEST >> 20} MiB: that is no evidence about one job")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise JobqError(f"{place} is no JSON: {error}", hint="`jobq why JOB --save FILE` writes such a file") from error
    if not isinstance(found, dict) or not {"job", "workload", "refused"} & found.keys():
        raise JobqError(f"{place} is no evidence about a job", hint="`jobq why JOB --save FILE` writes such a file")
    return found


def _save(raw: Mapping[str, object], place: str) -> None:
    """Write evidence down, readable for its owner alone, and say what it holds. Raises: JobqError."""
    target = Path(place)
    try:
        target.touch(mode=0o600)
        target.write_text(json.dumps(raw, indent=1) + "\n")
    except OSError as error:
        raise JobqError(f"{place} can't be written: {error.strerror}") from error
    console.talk(
        f"saved to {place}: the job, its Workload, pods and events, the queues and limits it meets; left out are "
        "environment values, commands, annotations, and other projects' jobs"
    )
