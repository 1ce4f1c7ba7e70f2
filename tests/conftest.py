"""Fixtures of all tests."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from reconciler.kube import KubeCluster, connect
from tests.controlplane.fixture import plane
from tests.controlplane.plane import Extent, Plane, start
from tests.proxy import Proxy, proxied
from tests.repository import Repository
from tests.world import World, clear, forget, install

__all__ = ["api_plane", "living", "plane", "proxy", "repository", "through", "whole_plane", "world"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell's background job, which programs under test inherit
    signal.signal(signal.SIGINT, signal.default_int_handler)


# The same examples on every machine; `--hypothesis-profile=search` looks for others.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("search", parent=settings.get_profile("steady"), derandomize=False, max_examples=2000)
settings.load_profile("steady")

_REAL = {"plane", "api_plane", "whole_plane"}
"""What tests have that meet programs with clocks of their own: a busy machine may once make them late."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test on a control plane that fails is run once more; the end of the run shows how it failed at first.

    Those of one file are run by one worker, so that what they share is set up once.
    """
    for item in items:
        if _REAL & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.flaky(reruns=1))
            if not item.get_closest_marker("xdist_group"):
                item.add_marker(pytest.mark.xdist_group(item.path.stem))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Each of these failures is a defect, of the test or of jobq, though the run passes."""
    for report in terminalreporter.getreports("rerun"):
        terminalreporter.section(f"failed at first: {report.nodeid}", red=True)
        terminalreporter.line(report.longreprtext)
        for name, text in report.sections:
            terminalreporter.section(name, "-")
            terminalreporter.line(text)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty git repository."""
    return Repository.new(tmp_path / "repository")


@pytest.fixture(scope="session")
def api_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """An API server of this worker's own, bootstrapped: a reconciler takes a whole cluster to itself."""
    with start(Extent.API) as own:
        install(own, tmp_path_factory.mktemp("bootstrap"))
        yield own


@pytest.fixture
def world(api_plane: Plane, repository: Repository) -> World:
    """That API server without any project, and an empty repository."""
    clear(api_plane)
    kubeconfig = api_plane.service_account_kubeconfig("jobq-system", "jobq-reconciler")
    return World(api_plane, repository, kubeconfig)


@pytest.fixture(scope="session")
def whole_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A control plane with Kueue and nodes, to be reconciled as a whole."""
    with start() as own:
        install(own, tmp_path_factory.mktemp("bootstrap"))
        yield own


@pytest.fixture
def proxy(world: World, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy before that API server, as the reconciler: ``world.jobq(..., kubeconfig=proxy.kubeconfig)``."""
    with proxied(world.kubeconfig, world.plane.directory / "pki", tmp_path / "proxy") as made:
        yield made


@pytest.fixture
def through(proxy: Proxy) -> Iterator[KubeCluster]:
    """The cluster as the reconciler sees it through the proxy."""
    cluster = connect(kubeconfig=str(proxy.kubeconfig))
    yield cluster
    cluster.close()


@pytest.fixture
def living(whole_plane: Plane, repository: Repository) -> World:
    """That control plane, with nothing of an earlier test, and an empty repository."""
    forget(whole_plane)
    kubeconfig = whole_plane.service_account_kubeconfig("jobq-system", "jobq-reconciler")
    return World(whole_plane, repository, kubeconfig)
