"""Env files: one rule for every dialect, which a shell agrees with."""

import subprocess

import pytest

from cli.submission import envfile
from reconciler.errors import UsageError

EVERY = b"""\
# comment
A="two words"
B='x # y'
export C=3
D=x#y
E=x # note
F=
H="two
lines"
\tI=indented
J=a"b c"'d e'
K="it's \\"quoted\\" \\\\ and \\n"
L= # nothing
M="joined \\
line"
A=again
"""
WANTED = {
    "A": "again",
    "B": "x # y",
    "C": "3",
    "D": "x#y",
    "E": "x",
    "F": "",
    "H": "two\nlines",
    "I": "indented",
    "J": "ab cd e",
    "K": 'it\'s "quoted" \\ and \\n',
    "L": "",
    "M": "joined line",
}


@pytest.mark.parametrize("data", [EVERY, b"\xef\xbb\xbf" + EVERY, EVERY.replace(b"\n", b"\r\n"), EVERY.rstrip()])
def test_every_dialect(data: bytes) -> None:
    """A byte order mark, Windows line ends and a missing last newline mean nothing."""
    assert envfile.read(data, "x.env") == WANTED


def test_a_shell_agrees() -> None:
    """The rule is a shell's, where nothing could be expanded."""
    script = EVERY.decode() + "\n".join(f'printf "%s\\0" "${name}"' for name in WANTED)
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert dict(zip(WANTED, said.split("\0"), strict=False)) == WANTED


def test_nothing_is_expanded() -> None:
    assert envfile.read(b"A=$HOME\nB=\"$(id) `id` \\$x\"\nC='$$'\n", "x.env") == {
        "A": "$HOME",
        "B": "$(id) `id` $x",
        "C": "$$",
    }


REFUSED = [
    (b"A=1\nI = 1\n", 2, "a blank before the '='"),
    (b"G\n", 1, "a name without '='"),
    (b"export G\n", 1, "a name without '='"),
    (b"A=two words\n", 1, "A goes on after a blank"),
    (b"A= x\n", 1, "A goes on after a blank"),
    (b'A=1\n\nB="open\n\n', 3, "B has a quote that nothing closes"),
    (b"A='open\n", 1, "A has a quote that nothing closes"),
    (b"A=a\\b\n", 1, "A has a backslash outside quotes"),
    (b"A=1\n\xc3\xbc=1\n", 2, "this is no NAME=VALUE"),
    (b"1A=3\n", 1, "this is no NAME=VALUE"),
    (b"A=x\x01y\n", 1, "can't be seen"),
    (b"A=x\ry\n", 1, "can't be seen"),
    (b"A='\0'\n", 1, "NUL"),
    (b"A=1\nB=\xff\n", 2, "not UTF-8"),
]


@pytest.mark.parametrize(("data", "line", "message"), REFUSED)
def test_refusals(data: bytes, line: int, message: str) -> None:
    """What can't be read is told with its line."""
    with pytest.raises(UsageError) as caught:
        envfile.read(data, "x.env")
    assert str(caught.value).startswith(f"x.env:{line}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("data", [b"K=s3cr3t x\n", b"s3cr3t\n", b"s3cr3t = x\n", b"K='s3cr3t\n", b"K=\\s3cr3t\n"])
def test_no_value_is_shown(data: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        envfile.read(data, "x.env")
    assert "s3cr3t" not in f"{caught.value} {caught.value.hint}"


def test_too_large() -> None:
    with pytest.raises(UsageError, match="1048577 bytes"):
        envfile.read(b"#" * (2**20 + 1), "x.env")
