"""Single runs at once, as the pipelines of two merges are: real processes, and a proxy that keeps one waiting."""

import subprocess
import threading

from cli.exits import Exit
from reconciler.kinds import CONFIG_MAP, LEASE
from tests import proxy as spoilt
from tests.proxy import Exchange, Match, Proxy
from tests.repository import project
from tests.run import Run, finish
from tests.world import World, eventually

LEE = {"user": "lee@example.org", "role": "researcher"}
GRANT = spoilt.to("/namespaces/vision/rolebindings/", "PATCH")
ENTRY = spoilt.to("/namespaces/jobq-system/configmaps/vision$", "PATCH")
TURN = spoilt.to("/leases/jobq-run$", "PATCH")
WAITS = "waits for the run that writes now: "


def bound(world: World) -> str:
    """Who has access to the project."""
    return world.kubectl("get", "rolebindings", "-n", "vision", "-o", "jsonpath={.items[*].subjects[*].name}")


def holder(world: World) -> str:
    """Whose turn it is."""
    return world.kubectl("get", "lease", "-n", "jobq-system", "jobq-run", "-o", "jsonpath={.spec.holderIdentity}")


def noted(world: World) -> str:
    """The commit that was applied last."""
    return str(world.admin.get(CONFIG_MAP, "jobq.state", namespace="jobq-system")["data"]["commit"])


class Slow:
    """A run of the present commit of which one write doesn't arrive before it is let."""

    def __init__(self, world: World, proxy: Proxy, match: Match) -> None:
        self._let, begun = threading.Event(), threading.Event()

        def late(exchange: Exchange) -> None:
            begun.set()
            spoilt.hold(self._let)(exchange)

        proxy.spoil(lambda asked: asked.writes and match(asked), late)
        self.process = world.start(
            "reconcile", "--ref", world.repository.git("rev-parse", "HEAD"), kubeconfig=proxy.kubeconfig
        )
        assert begun.wait(60)

    def end(self) -> Run:
        """Let it write, and go to its end."""
        self._let.set()
        return finish(self.process, ("reconcile",))


def first_words(process: subprocess.Popen[str]) -> str:
    """The next line on stderr, which is waited for."""
    assert process.stderr is not None
    return process.stderr.readline()


def test_newer_waits_for_older(world: World, proxy: Proxy) -> None:
    """Access that the newer commit withdraws doesn't come back by a slow run of the older: the newer waits for it."""
    world.repository.declare(project("vision"))
    world.reconcile()
    world.repository.declare(project("vision", members=[LEE]))
    older = Slow(world, proxy, GRANT)
    head = world.repository.declare(project("vision", displayName="Vision"))
    newer = world.start("reconcile")
    assert first_words(newer).startswith(WAITS)
    assert older.end().code == Exit.DONE
    run = finish(newer, ("reconcile",))
    assert (run.code, "lee@example.org in vision: researcher -> no access" in run.out) == (Exit.DONE, True)
    assert (bound(world), holder(world), noted(world)) == ("", "", head)


def test_older_is_late(world: World, proxy: Proxy) -> None:
    """A run of the older commit that planned before the newer one wrote plans again at its turn, and is refused."""
    world.repository.declare(project("vision"))
    world.reconcile()
    world.repository.declare(project("vision", members=[LEE]))
    older = Slow(world, proxy, TURN)
    head = world.repository.declare(project("vision", displayName="Vision"))
    assert world.jobq("reconcile").code == Exit.DONE
    run = older.end()
    assert (run.code, "is older than what was applied last" in run.out) == (Exit.REFUSED, True)
    assert (bound(world), holder(world), noted(world)) == ("", "", head)


def test_turn_lost(world: World, proxy: Proxy) -> None:
    """A run that has lost its turn finishes what is in flight, writes no more, and says who has taken over."""
    world.repository.declare(project("vision"))
    world.reconcile()
    world.repository.declare(project("vision", members=[LEE]))
    slow = Slow(world, proxy, ENTRY)
    taken = '{"spec": {"holderIdentity": "another", "leaseDurationSeconds": 600}}'
    asked = len(proxy.asked)
    world.kubectl("patch", "lease", "-n", "jobq-system", "jobq-run", "--type=merge", "-p", taken)
    try:
        looks = spoilt.to("/leases/jobq-run$", "GET")
        assert eventually(lambda: any(map(looks, proxy.asked[asked:])))
        run = slow.end()
    finally:
        world.admin.delete(LEASE, "jobq-run", namespace="jobq-system")
    assert (run.code, bound(world)) == (Exit.INTERRUPTED, "")
    assert "another run took over: another" in run.err
    assert world.jobq("reconcile").code == Exit.DONE
    assert bound(world) == "lee@example.org"
