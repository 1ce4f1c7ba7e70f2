"""``jobq doctor``: whether cluster and repository are as jobq needs them, and what helps where they aren't."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import typer

from cli import clock, console, options
from cli.connection import connect
from reconciler import source
from reconciler.administration import bootstrap
from reconciler.administration.diagnosis import FORMAT, Diagnosis, Level
from reconciler.administration.doctor import diagnose
from reconciler.administration.examine import examine_cluster, examine_repository
from reconciler.administration.facts import ClusterFacts, Facts, RepositoryFacts, Unknown
from reconciler.errors import ClusterError, JobqError, NotFound
from reconciler.kubeconfig import NO_CLUSTER
from reconciler.model import Body, Settings
from reconciler.report import problems_text
from reconciler.wording import counted

EXAMPLES = """
  jobq doctor
  jobq doctor --repo /srv/projects -o json
"""
PROBLEMS = 1


def doctor(
    *,
    repo: options.Repo = Path(),
    ref: options.Ref = "HEAD",
    output: options.TableOutput = "text",
    kubeconfig: options.Kubeconfig = "",
    context: options.Context = "",
) -> None:
    """Check repository and cluster: each finding with why it matters and the command that helps. Writes nothing.

    Exit 0 where there is no problem, 1 where there is any. What this identity may not see is said as a warning.
    """
    repository = examine_repository(repo, ref, clock.today(), given=repo != Path())
    wanted: Sequence[Body] = ()
    if not isinstance(repository.declaration, Unknown):
        repository, wanted = _installation(repository, repository.declaration.settings, repo, ref)
    cluster = _cluster(repository, wanted, kubeconfig=kubeconfig, context=context)
    found = diagnose(Facts(repository, cluster))
    if repository.problems:
        console.talk(problems_text(repository.problems))
    if output == "json":
        console.out_json(_json(found))
    else:
        _show(found)
    raise typer.Exit(PROBLEMS if any(one.level is Level.PROBLEM for one in found) else 0)


def _installation(
    repository: RepositoryFacts, settings: Settings, repo: Path, ref: str
) -> tuple[RepositoryFacts, Sequence[Body]]:
    """What bootstrap would install, by the repository's own templates where it has any."""
    try:
        templates = source.templates(source.read_commit(repo, ref), "bootstrap")
        return repository, bootstrap.bootstrap(settings, templates)
    except JobqError as error:
        return replace(repository, declaration=Unknown(str(error), error.hint)), ()


def _cluster(
    repository: RepositoryFacts, wanted: Sequence[Body], *, kubeconfig: str, context: str
) -> ClusterFacts | Unknown:
    try:
        cluster = connect(kubeconfig=kubeconfig, context=context)
    except ClusterError as error:
        return Unknown(str(error), error.hint, absent=NO_CLUSTER in str(error))
    if isinstance(repository.declaration, Unknown):
        return examine_cluster(cluster, (), _no_probe)
    reconciler = repository.declaration.settings.reconciler

    def probe() -> bool:
        return bootstrap.policies_act(connect(kubeconfig=kubeconfig, context=context, impersonating=reconciler))

    return examine_cluster(cluster, wanted, probe)


def _no_probe() -> bool:
    """Who reconciles stands in jobq.toml."""
    raise NotFound("the reconciler's name isn't known")


def _show(found: tuple[Diagnosis, ...]) -> None:
    for one in found:
        console.out(f"{one.level:<8} {one.check}: {console.plain(one.text)}")
        for word, text in (("why", one.why), ("fix", one.fix)):
            if text:
                console.out(f"         {word}: {console.plain(text)}")
    counts = Counter(one.level for one in found)
    numbers = (counted(counts[Level.PROBLEM], "problem"), counted(counts[Level.WARNING], "warning"))
    console.out(f"\n{', '.join(numbers)}, {counts[Level.OK]} ok")


def _json(found: tuple[Diagnosis, ...]) -> dict[str, object]:
    return {
        "format": FORMAT,
        "problems": sum(one.level is Level.PROBLEM for one in found),
        "warnings": sum(one.level is Level.WARNING for one in found),
        "findings": [
            {"check": one.check, "level": one.level, "text": one.text, "why": one.why, "fix": one.fix} for one in found
        ],
    }
