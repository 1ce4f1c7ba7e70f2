"""`python -m tests.controlplane up`: a control plane to play with; `build` and `member` beside it."""

import argparse
import fcntl
import os
import select
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from tests.controlplane import build, plane, ports, processes, supervisor
from tests.controlplane.components import Place
from tests.controlplane.supervisor import Extent, Order

FAILURES = (
    build.BuildError,
    plane.PlaneFailed,
    ports.NoPortsError,
    processes.ComponentDied,
    processes.NotReady,
    supervisor.InUse,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = options.command
    try:
        command(options)
    except FAILURES as failure:
        _say(f"error: {failure}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.controlplane", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="run a control plane in the foreground, until Ctrl-C")
    up.set_defaults(command=_up)
    up.add_argument("--dir", type=Path, help="its folder; without, a temporary one that goes with it")
    up.add_argument("--temporary", action="store_true", help="remove the folder at the end, unless something failed")
    extent = up.add_mutually_exclusive_group()
    extent.set_defaults(extent=Extent.FULL)
    for choice, text in ((Extent.API, "etcd and API server only"), (Extent.KUBERNETES, "all but Kueue's process")):
        extent.add_argument(*choice.options, dest="extent", action="store_const", const=choice, help=text)
    up.add_argument("--no-lab", dest="lab", action="store_false", help="without the lab's nodes and queues")
    until = up.add_mutually_exclusive_group()
    until.add_argument("--while-stdin", action="store_true", help="stop at the end of standard input")
    until.add_argument("--until-unused", type=Path, metavar="FILE", help="stop when nobody holds a lock on FILE")
    commands.add_parser("build", help="build what is missing").set_defaults(command=_build)
    member = commands.add_parser("member", help="print the path of a kubeconfig of some person")
    member.set_defaults(command=_member)
    member.add_argument("dir", type=Path, help="the control plane's folder")
    member.add_argument("user", help="for example kim@example.org")
    member.add_argument("groups", nargs="*", help="for example oidc:vision")
    member.add_argument("--namespace", default="default")
    return parser


def _up(options: argparse.Namespace) -> None:
    folder = options.dir or Path(tempfile.mkdtemp(prefix="jobq-"))
    order = Order(folder, options.extent, options.lab, options.temporary or options.dir is None)
    with ExitStack() as stack:
        ended = _never
        if options.while_stdin:
            ended = _stdin_has_ended
        elif options.until_unused:
            users = stack.enter_context(options.until_unused.open("a"))
            ended = lambda: _nobody_holds(users)  # noqa: E731 - one line says it
        _say(f"starting a control plane in {folder} ...")
        supervisor.run(order, ended, _announce)
    _say("stopped")


def _build(_options: argparse.Namespace) -> None:
    for name, folder in build.programs().items():
        _print(f"{name}  {folder}")


def _member(options: argparse.Namespace) -> None:
    found = plane.Plane.at(options.dir)
    _print(str(found.member_kubeconfig(options.user, options.groups, options.namespace)))


def _announce(place: Place, seconds: float) -> None:
    versions = ", ".join(
        f"{module.name} {build.version(module)}" for module in build.ALL if module.name in place.programs
    )
    _print(f"ready in {seconds:.1f} s: {versions}")
    _print(f"  export KUBECONFIG={place.kubeconfig('admin')}")
    if not shutil.which("kubectl"):
        _print(f"  alias kubectl={place.kubernetes('kubectl')}")
    _print(
        f"  python -m tests.controlplane member {place.folder} kim@example.org oidc:vision   # a member's kubeconfig"
    )
    _print(f"logs {place.logs}/NAME.log, requests {place.audit_log}; Ctrl-C stops it")


def _never() -> bool:
    return False


def _stdin_has_ended() -> bool:
    readable, _, _ = select.select([0], [], [], 0)
    return bool(readable) and not os.read(0, 1024)


def _nobody_holds(users: IO[str]) -> bool:
    """Takes the lock when nobody holds it, and keeps it: who comes later waits until this process has ended."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
