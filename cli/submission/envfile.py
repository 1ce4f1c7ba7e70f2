r"""Env files, read as a shell reads assignments, but nothing is expanded: `$` is a dollar.

A line is blank, a comment, or ``[export ]NAME=VALUE`` without blanks around ``=``. In a value, ``'...'`` keeps
everything, ``"..."`` everything but ``\" \\ \$ \``` and a backslash at a line's end, both over several lines; outside
quotes the value ends at the first blank, and only a comment (`` #``) may follow. The last line of a name counts. A byte
order mark at the start, and Windows line ends, mean nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.errors import UsageError

MOST_BYTES = 2**20

_NAME = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)=")
_SPACED = re.compile(r"(?:export[ \t]+)?[A-Za-z_][A-Za-z0-9_]*[ \t]+=")
_BARE = re.compile(r"(?:export[ \t]+)?[A-Za-z_][A-Za-z0-9_]*[ \t]*(?:\n|\Z)")
_QUOTED = re.compile(r"""'([^']*)'|"((?:[^"\\]|\\.)*)\"""", re.DOTALL)
_ESCAPE = re.compile(r'\\(["\\$`])|\\\n')


def read(data: bytes, path: str) -> Mapping[str, str]:
    """Variables by name. Raises: UsageError with ``path:line``, and never with a value."""
    if len(data) > MOST_BYTES:
        raise UsageError(f"{path} has {len(data)} bytes, and an env file at most {MOST_BYTES}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: not UTF-8, which is all that Kubernetes carries") from None
    reader = _Reader(text.replace("\r\n", "\n"), path)
    return reader.variables()


@dataclass(slots=True)
class _Reader:
    text: str
    path: str
    at: int = 0

    def variables(self) -> Mapping[str, str]:
        found = {}
        while self._skip_to_line():
            name = self._name()
            found[name] = self._value(name)
        return found

    def _skip_to_line(self) -> bool:
        """To the next line that says something; false at the end."""
        blank = re.compile(r"(?:[ \t]*(?:#[^\n]*)?\n)*[ \t]*(?:#[^\n]*\Z)?").match(self.text, self.at)
        self.at = blank.end() if blank else self.at
        return self.at < len(self.text)

    def _name(self) -> str:
        found = _NAME.match(self.text, self.at)
        if found is None:
            raise self._unread()
        self.at = found.end()
        return found[1]

    def _unread(self) -> UsageError:
        """The line itself is not shown: it may be a part of somebody's secret."""
        if _SPACED.match(self.text, self.at):
            return self._wrong("a blank before the '='", "write NAME=VALUE")
        if _BARE.match(self.text, self.at):
            return self._wrong("a name without '='", "write NAME=VALUE, or NAME= for an empty one")
        return self._wrong("this is no NAME=VALUE", "names are letters, digits and '_'; quote a value of several lines")

    def _value(self, name: str) -> str:
        parts = []
        while (character := self.text[self.at : self.at + 1]) not in {"", "\n", " ", "\t"}:
            if character in "'\"":
                parts.append(self._quoted(name))
            elif character == "\\":
                raise self._wrong(f"{name} has a backslash outside quotes", "put the value between '...'")
            elif character == "\r" or not character.isprintable():
                raise self._wrong(f"{name} has a character that can't be seen", "delete it, or put it between '...'")
            else:
                parts.append(character)
                self.at += 1
        self._end(name)
        return "".join(parts)

    def _quoted(self, name: str) -> str:
        found = _QUOTED.match(self.text, self.at)
        if found is None:
            raise self._wrong(f"{name} has a quote that nothing closes", "")
        self.at = found.end()
        value = found[1] if found[1] is not None else _ESCAPE.sub(lambda one: one[1] or "", found[2])
        if "\0" in value:
            raise self._wrong(f"{name} has a NUL, which no variable can hold", "")
        return value

    def _end(self, name: str) -> None:
        """Nothing but a comment may follow on the line."""
        rest, _, _ = self.text[self.at :].partition("\n")
        if rest.strip() and not rest.lstrip().startswith("#"):
            hint = f"write {name}=VALUE" if self.text[self.at - 1] == "=" else "put a value with blanks between quotes"
            raise self._wrong(f"{name} goes on after a blank", hint)
        self.at += len(rest)

    def _wrong(self, what: str, hint: str) -> UsageError:
        line = self.text.count("\n", 0, self.at) + 1
        return UsageError(f"{self.path}:{line}: {what}", hint=hint)
