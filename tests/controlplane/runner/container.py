"""The first process of a container, run as ``python3 -IS container.py SPEC_FD STATUS_FD``.

It builds namespaces and a root of mounts, then becomes the container's command as PID 1.  A waiting parent stays
outside and exits with the command's exit code (128+n for signal n).  Only the standard library's smallest modules are
imported: this start-up is paid once a container.

SPEC_FD holds one JSON object:
    parent    pid of the runner; without it the container must not live
    root      an empty directory to build the root on
    hostname  of the container
    uid, gid  seen inside; outside it is always the runner's own
    mounts    [{source, target, read_only}]; a source is a directory or a file, null is memory
    hide      paths of the machine that show as empty
    command   argument list, env {name: value}, workdir
STATUS_FD gets one JSON object a line: {"pid": N} and, if the command could not be started,
{"reason": ..., "message": ...}; end of file without a reason means that the command runs.
"""

# pathlib would be a good part of the start-up time:
# ruff: noqa: PTH102, PTH103, PTH106, PTH108, PTH110, PTH112, PTH113, PTH115, PTH116, PTH118, PTH211

import ctypes
import errno
import json
import os
import select
import signal
import stat
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID = (
    0x00020000,
    0x04000000,
    0x08000000,
    0x10000000,
    0x20000000,
)
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_UNBINDABLE, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 17, 1 << 18
MNT_DETACH = 2
PR_SET_PDEATHSIG = 1
SYS_MOUNT_SETATTR = 442  # the same number on every architecture
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = -100, 0x8000, 1
START_FAILED = 128
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - inside the container
DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx")
DEVICE_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
)

libc = ctypes.CDLL(None, use_errno=True)


class StartError(Exception):
    """The command can't be executed; the text is for the container's status."""


# System calls ------------------------------------------------------------------------------------------------------


def check(result: int, what: str) -> None:
    """Raises: OSError naming what failed, if a system call returned an error."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str | None, target: str, kind: str | None = None, flags: int = 0, data: str = "") -> None:
    """The system call mount."""
    arguments = [os.fsencode(text) if text is not None else None for text in (source, target, kind)]
    check(libc.mount(*arguments, ctypes.c_ulong(flags), data.encode()), f"mount {target}")


def bind(source: str, target: str) -> None:
    """Show a file or a tree at a second place, with everything mounted below it."""
    mount(source, target, None, MS_BIND | MS_REC)


def make_read_only(path: str) -> None:
    """No writing below path, in all mounts of the tree."""
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY, 0, 0, 0)
    arguments = (AT_FDCWD, os.fsencode(path), AT_RECURSIVE, attributes, ctypes.c_size_t(ctypes.sizeof(attributes)))
    check(libc.syscall(SYS_MOUNT_SETATTR, *arguments), f"mount_setattr {path}")


def die_with_parent() -> None:
    """Let the kernel kill this process when its parent ends.  A change of credentials undoes it, so: after unshare."""
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def enter_namespaces(uid: int, gid: int) -> None:
    """Leave the machine's namespaces; one user id is mapped, the same way for root and for anybody."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    check(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC), "unshare")
    write_text("/proc/self/setgroups", "deny")
    write_text("/proc/self/uid_map", f"{uid} {outer_uid} 1")
    write_text("/proc/self/gid_map", f"{gid} {outer_gid} 1")


def write_text(path: str, text: str) -> None:
    """One write, as the files of /proc want it."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


# The root ----------------------------------------------------------------------------------------------------------


class Root:
    """A file system made of mounts, built below a directory until it is entered."""

    def __init__(self, top: str) -> None:
        self.top = top
        self.own = {"/", "/dev"}  # directories in memory, where entries may be made

    def build(self, mounts: list[dict[str, Any]], hide: list[str]) -> None:
        """The machine's files, read-only and without what is hidden, and the container's mounts over them."""
        mount(None, "/", None, MS_REC | MS_PRIVATE)
        mount("tmpfs", self.top, "tmpfs", 0, "mode=0755")
        mount(None, self.top, None, MS_UNBINDABLE)  # or it would be bound into itself, for ever
        self.show_entries("/", without={"dev", "proc"})
        self.make_devices()
        os.mkdir(f"{self.top}/proc")
        outer, inner = split_nested(mounts)
        for entry in outer:
            self.make_place(entry["target"], is_file=is_file(entry["source"]))
        self.hide(hide)
        make_read_only(self.top)
        self.mount_proc()
        mount("tmpfs", f"{self.top}{SHARED_MEMORY}", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
        for entry in outer:
            self.attach(entry)
        for entry in inner:
            self.make_place(entry["target"], is_file=is_file(entry["source"]), own=True)
            self.attach(entry)

    def show_entries(self, directory: str, without: Iterable[str] = ()) -> None:
        """Bind every entry of a directory of the machine into the same directory of this root."""
        try:
            entries = list(os.scandir(directory))
        except OSError:
            return  # not ours to read: it stays empty
        for entry in entries:
            if entry.name not in without:
                self.show(entry)

    def show(self, entry: "os.DirEntry[str]") -> None:
        """Bind one entry; what can't be bound is left out."""
        place = self.top + entry.path
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), place)
            return
        make_entry(place, is_file=not entry.is_dir())
        try:
            bind(entry.path, place)
        except OSError:
            if entry.is_dir():
                os.rmdir(place)
            else:
                os.unlink(place)

    def make_devices(self) -> None:
        """A small /dev: the usual devices, the machine's terminals, the usual links."""
        dev = f"{self.top}/dev"
        os.mkdir(dev)
        mount("tmpfs", dev, "tmpfs", MS_NOSUID, "mode=0755")
        for name in DEVICES:
            if os.path.exists(f"/dev/{name}"):
                make_entry(f"{dev}/{name}", is_file=True)
                bind(f"/dev/{name}", f"{dev}/{name}")
        os.mkdir(self.top + SHARED_MEMORY)
        os.mkdir(f"{dev}/pts")
        if os.path.isdir("/dev/pts"):
            bind("/dev/pts", f"{dev}/pts")
        for name, target in DEVICE_LINKS:
            os.symlink(target, f"{dev}/{name}")

    def mount_proc(self) -> None:
        """A fresh /proc; where the machine's is partly covered (as in containers) the kernel refuses: then that one."""
        try:
            mount("proc", f"{self.top}/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
        except PermissionError:
            bind("/proc", f"{self.top}/proc")

    def make_place(self, path: str, *, is_file: bool, own: bool = False) -> None:
        """Make path exist.  Where the machine lacks it, the parent becomes a directory in memory with its entries."""
        parts = path.strip("/").split("/")
        for depth in range(1, len(parts) + 1):
            here, parent = "/" + "/".join(parts[:depth]), "/" + "/".join(parts[: depth - 1])
            if os.path.lexists(self.top + here):
                continue
            if not own and parent not in self.own:
                self.take_over(parent)
            make_entry(self.top + here, is_file=is_file and depth == len(parts))
            self.own.add(here)

    def take_over(self, directory: str) -> None:
        """Put memory over a directory of the machine, and its entries into that."""
        mount("tmpfs", self.top + directory, "tmpfs", 0, "mode=0755")
        self.own.add(directory)
        self.show_entries(directory)

    def hide(self, paths: Iterable[str]) -> None:
        """Let each path that exists show as empty."""
        for path in paths:
            place = self.top + path
            if os.path.isdir(place):
                mount("tmpfs", place, "tmpfs", 0, "mode=0755,size=4k")
            elif os.path.exists(place):
                bind("/dev/null", place)

    def attach(self, entry: dict[str, Any]) -> None:
        """Mount one entry of the specification."""
        place = self.top + entry["target"]
        if entry["source"] is None:
            mount("tmpfs", place, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
        else:
            bind(entry["source"], place)
        if entry["read_only"]:
            make_read_only(place)

    def enter(self) -> None:
        """Make this the root of the process and let go of the machine's."""
        mount(None, self.top, None, MS_PRIVATE)
        os.chdir(self.top)
        check(libc.pivot_root(b".", b"."), "pivot_root")
        check(libc.umount2(b".", MNT_DETACH), "umount")
        os.chdir("/")


def split_nested(mounts: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Mounts on the machine's own directories, and mounts inside other mounts; outer before inner."""
    ordered = sorted(mounts, key=lambda entry: entry["target"].count("/"))
    targets = [entry["target"] for entry in ordered]
    outer: list[dict[str, Any]] = []
    inner: list[dict[str, Any]] = []
    for entry in ordered:
        nested = any(entry["target"].startswith(other + "/") for other in targets)
        (inner if nested else outer).append(entry)
    return outer, inner


def is_file(source: str | None) -> bool:
    """Whether a mount's source is anything but a directory."""
    return source is not None and not stat.S_ISDIR(os.stat(source).st_mode)


def make_entry(path: str, *, is_file: bool) -> None:
    """An empty file or directory to mount on."""
    if is_file:
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    else:
        os.mkdir(path, 0o755)


# The command -------------------------------------------------------------------------------------------------------


def execute(command: list[str], env: dict[str, str], workdir: str) -> NoReturn:
    """Become the command.

    Raises: StartError with the reason why not.
    """
    try:
        os.makedirs(workdir, exist_ok=True)
        os.chdir(workdir)
    except OSError as error:
        raise StartError(f'chdir to cwd ("{workdir}") set in the pod spec failed: {error.strerror}') from error
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and an ignored signal stays so in exec
        signal.signal(number, signal.SIG_DFL)
    os.umask(0o022)
    program = find_program(command[0], env.get("PATH", ""))
    try:
        os.execve(program, command, env)  # noqa: S606 - the point of it
    except OSError as error:
        raise StartError(f'exec: "{command[0]}": {(error.strerror or "failed").lower()}') from error


def find_program(name: str, path: str) -> str:
    """The file to execute.

    Raises: StartError if no directory of PATH has it.
    """
    if "/" in name:
        return name
    for directory in path.split(":"):
        candidate = os.path.join(directory or ".", name)
        if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
            return candidate
    raise StartError(f'exec: "{name}": executable file not found in $PATH')


def first_process(spec: dict[str, Any], status: int, alive: int) -> NoReturn:
    """Be PID 1 of the container; ends the process whatever happens."""
    try:
        die_with_parent()
        if select.select([alive], [], [], 0)[0]:
            os._exit(START_FAILED)  # the parent went before its death could be noticed
        os.setsid()
        check(libc.sethostname(os.fsencode(spec["hostname"]), len(os.fsencode(spec["hostname"]))), "sethostname")
        root = Root(spec["root"])
        root.build(spec["mounts"], spec["hide"])
        root.enter()
        execute(spec["command"], spec["env"], spec["workdir"])
    except StartError as error:
        report(status, {"reason": "StartError", "message": str(error)})
    except OSError as error:
        report(status, {"reason": "StartError", "message": error.strerror or str(error), "errno": error.errno})
    os._exit(START_FAILED)


def report(status: int, line: dict[str, Any]) -> None:
    """Tell the runner; one write, so that lines of two processes don't mix."""
    os.write(status, json.dumps(line).encode() + b"\n")


def run(spec: dict[str, Any], status: int) -> int:
    """Start the container and wait for it; its exit code, 128+n for a signal."""
    try:
        enter_namespaces(spec["uid"], spec["gid"])
    except OSError as error:
        report(status, {"reason": "StartError", "message": error.strerror or str(error), "errno": error.errno})
        return START_FAILED
    die_with_parent()
    if os.getppid() != spec["parent"]:
        return START_FAILED
    alive, held = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(held)
        first_process(spec, status, alive)
    report(status, {"pid": child})
    for descriptor in (0, 1, 2, alive, status):  # or the command's output and the status would never end
        os.close(descriptor)
    return os.waitstatus_to_exitcode(wait_for(child)) % 256


def wait_for(child: int) -> int:
    """The wait status of a child, with a signal turned into exit code 128+n."""
    status = os.waitpid(child, 0)[1]
    return (128 + os.WTERMSIG(status)) << 8 if os.WIFSIGNALED(status) else status


def main() -> int:
    """Read the specification, run it."""
    specification, status = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(status, False)  # noqa: FBT003 - the signature is Python's
    with os.fdopen(specification, "rb") as file:
        spec = json.load(file)
    return run(spec, status)


if __name__ == "__main__":
    try:
        code = main()
    except OSError as error:
        code = START_FAILED if error.errno != errno.EPIPE else 1
    os._exit(code)
