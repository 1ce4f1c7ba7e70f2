"""``jobq plan --offline``: what can be said without a cluster."""

from collections.abc import Collection, Iterator
from datetime import date
from pathlib import Path

from cli import clock
from cli.operator.declared import Declared, read_commit
from reconciler.comparing.scope import must_be_known
from reconciler.guard import check_declaration, must_pass
from reconciler.model import Manifest
from reconciler.planned import Report, Verdict
from reconciler.planning.imagined import imagined_plan
from reconciler.render import render


def alone(tree: Declared, only: Collection[str]) -> Report:
    """What an empty cluster would get."""
    return _imagined(tree, tree, (), only)


def between(repo: Path, before: str, after: str, only: Collection[str]) -> Report:
    """What a cluster would get from the one commit that is as the other left it.

    Rendered with the templates of the earlier one alone: a stranger's templates are not run.
    """
    base, tree = read_commit(repo, before), read_commit(repo, after)
    must_pass(check_declaration(tree.declaration))
    return _imagined(tree, base, tuple(_changed(base, tree)), only)


def _imagined(tree: Declared, base: Declared, notices: tuple[str, ...], only: Collection[str]) -> Report:
    must_be_known(only, {**base.declaration.projects, **tree.declaration.projects}, {})
    today = clock.today()
    before = () if base is tree else _rendered(base, base, only, today)
    plan = imagined_plan(tree.declaration, _rendered(tree, base, only, today), today, before)
    return Report(plan, Verdict(plan.refusals, notices))


def _rendered(tree: Declared, base: Declared, only: Collection[str], today: date) -> list[Manifest]:
    manifests = render(tree.declaration, base.templates, today)
    return [manifest for manifest in manifests if not only or manifest.project in only]


def _changed(base: Declared, tree: Declared) -> Iterator[str]:
    """What these commits change that the plan doesn't show."""
    before, after = base.snapshot.files, tree.snapshot.files
    paths = sorted({path for path in (*before, *after) if path.startswith("templates/")})
    changed = [path for path in paths if before.get(path) != after.get(path)]
    if changed:
        yield f"templates changed, which a person must look at: {', '.join(changed)}; used here are the earlier ones"
    clusters = [one.declaration.settings.cluster for one in (base, tree)]
    if clusters[0] != clusters[1]:
        yield f"jobq.toml names another cluster: {clusters[0]} before, {clusters[1]} now"
