"""A run that is killed at any of its requests: what it leaves behind, and that the next one goes on."""

import threading
from collections.abc import Mapping
from typing import Any

import pytest
from kubernetes.client.rest import RESTResponse

from reconciler.kube import KubeCluster
from reconciler.kubeconfig import find_access
from reconciler.reaching.access import Access
from reconciler.terms import Terms
from tests.safety import check_end, check_on_the_way, everything, finish, first_scene, next_scene
from tests.world import PAGES, World


class Crash(BaseException):
    """The process is gone."""


class Mortal(KubeCluster):
    """A process that dies at its request of that number, before it is sent or (``late``) before its answer is read.

    Requests of other threads that are under way are carried out; none is begun after.
    """

    def __init__(self, access: Access, number: int, *, late: bool) -> None:
        super().__init__(access)
        self.writes = 0
        """How many requests were sent that change something."""
        self._requests = 0
        self._dead = False
        self._number = number
        self._late = late
        self._lock = threading.Lock()

    def _call(self, method: str, path: str, query: Mapping[str, str], *rest: Any, **more: Any) -> RESTResponse:  # noqa: ANN401 - as in what it overrides
        with self._lock:
            self._requests += 1
            last = self._requests == self._number
            self._dead = self._dead or (last and not self._late)
            if self._dead:
                raise Crash
            self.writes += method != "GET" and not query.get("dryRun")
        answer = super()._call(method, path, query, *rest, **more)
        with self._lock:
            self._dead = self._dead or last
            if self._dead:
                answer.read()
                raise Crash
        return answer


@pytest.mark.parametrize("late", [False, True], ids=["before it is sent", "before its answer"])
def test_killed_at_every_request(world: World, *, late: bool) -> None:
    """Whichever request a run dies at, access was never wider than before or after, and the next run converges."""
    scene = first_scene(world)
    access = find_access(kubeconfig=str(world.kubeconfig))
    number, survived = PAGES.total() if late else 0, 0
    while survived < 2:  # both directions of the scene
        number += 1
        mortal = Mortal(access, number, late=late)
        try:
            assert world.reconcile(cluster=mortal, terms=Terms(approved=scene.digest)).applied
            survived += 1
        except Crash:
            survived = 0
        finally:
            mortal.close()
        left = everything(world)
        if not mortal.writes:
            assert left == scene.before
            continue
        check_on_the_way(scene, left)
        finish(world)
        check_end(scene, everything(world))
        scene = next_scene(world, scene)
    assert number > 50
