"""A template's text and its words -> objects. A value can only ever become a leaf of an object.

Every ``{{ }}`` writes a placeholder, never the value. What is left is the *shape*: it is parsed as YAML, and the
placeholders are replaced in the parsed tree. So no value is ever read as YAML, and projects of one shape share a parse.
What would capture output in a block, or loop and compute without bound, is refused.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import SandboxedEnvironment

from reconciler.documents import yaml
from reconciler.errors import RenderError
from reconciler.model import Body, Origin

_OPEN, _TEXT, _CLOSE = "\ue000", "\ue001", "\ue002"
_QUOTED = re.compile(rf"""(?<=[\[{{, ])(?<![=>] )(["']){_OPEN}(\d+){_CLOSE}\1(?=\s*(?:$|[,\]}}#]))""", re.MULTILINE)
"""A scalar that is one quoted placeholder; not a quoted part of a longer one."""
_WHOLE = re.compile(rf"{_OPEN}(\d+){_CLOSE}")
_ANY = re.compile(rf"[{_OPEN}{_TEXT}](\d+){_CLOSE}")
_MOST_STEPS = 100_000
"""Loop rounds and outputs that one rendering of one template may take."""
_MOST_TEXT = 1 << 20
"""Characters that a template's output, or a text computed in it, may have."""


def bodies(path: str, text: str, words: Mapping[str, object]) -> Sequence[Body]:
    """The objects that a template makes of these words. Raises: RenderError, which tells its ``path``."""
    budget = _Budget()
    try:
        output = _limited(_compiled(text, path).generate(_budget=budget, **words))
    except TemplateSyntaxError as error:
        raise RenderError(str(error.message), origin=Origin(path, error.lineno, 1)) from error
    except (TemplateError, ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise RenderError(str(error), origin=Origin(path, _line(error, path), 1)) from error
    shape = _QUOTED.sub(rf'"{_TEXT}\2{_CLOSE}"', output)
    return [_filled(tree, budget.values, path) for tree in _parsed(shape, path)]


# --- templates


class _Budget:
    """What one rendering of one template may still use, and the values behind its placeholders."""

    def __init__(self) -> None:
        self.steps = 0
        self.values: list[object] = []

    def spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > _MOST_STEPS:
            raise SecurityError(f"takes more than {_MOST_STEPS} steps")


@pass_context
def _placeholder(context: Context, value: object) -> str:
    """Jinja's finalize: keeps the value, writes a placeholder. With a context, Jinja folds no constants."""
    budget: _Budget = context["_budget"]
    budget.spend(1)
    if isinstance(value, Undefined):
        str(value)  # StrictUndefined raises with the name
    if value is None or not isinstance(value, str | int | float):
        raise SecurityError(f"an expression gives {type(value).__name__}, not text, a number or true/false")
    budget.values.append(value)
    return f"{_OPEN}{len(budget.values) - 1}{_CLOSE}"


@pass_context
def _counted(context: Context, items: Iterable[object]) -> Sequence[object]:
    """A loop's items; each round counts, whatever its body prints."""
    counted = list(items)
    budget: _Budget = context["_budget"]
    budget.spend(len(counted))
    return counted


def _join(items: Iterable[object], between: str = "") -> str:
    texts = [str(item) for item in items]
    if sum(map(len, texts)) + len(between) * len(texts) > _MOST_TEXT:
        raise SecurityError(f"join gives more than {_MOST_TEXT} characters")
    return between.join(texts)


def _json(value: object) -> str:
    """JSON text with sorted keys: the same value, the same bytes."""
    pieces, size = [], 0
    for piece in json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).iterencode(value):
        pieces.append(piece)
        size += len(piece)
        if size > _MOST_TEXT:
            raise SecurityError(f"json gives more than {_MOST_TEXT} characters")
    return "".join(pieces)


_KNOWN_FILTERS = ("default", "first", "last", "length", "list", "lower", "map", "selectattr", "sort", "trim", "upper")
_BANNED = (
    nodes.AssignBlock,
    nodes.Call,
    nodes.CallBlock,
    nodes.Concat,
    nodes.Extends,
    nodes.FilterBlock,
    nodes.FromImport,
    nodes.Import,
    nodes.Include,
    nodes.Macro,
)
"""What would see placeholders as text, read other files, or compute without bound."""


class _Environment(SandboxedEnvironment):
    """Jinja without what grows without bound: nothing is called, no text is repeated or padded, loops are counted."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            finalize=_placeholder,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,
        )
        own = {"counted": _counted, "join": _join, "json": _json}
        self.filters = {name: self.filters[name] for name in _KNOWN_FILTERS} | own
        self.globals = {}

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401 - any operand
        if operator == "**" or not all(isinstance(side, int | float) and abs(side) < 1 << 53 for side in (left, right)):
            raise SecurityError(f"{operator} is for numbers; text is written side by side")
        return super().call_binop(context, operator, left, right)


@lru_cache(maxsize=256)
def _compiled(text: str, path: str) -> Template:
    """Once in a process, however often it reconciles."""
    environment = _Environment()
    tree = environment.parse(text, name=path, filename=path)
    for node in tree.find_all(_BANNED):
        raise RenderError(f"{type(node).__name__} is not for jobq's templates", origin=Origin(path, node.lineno, 1))
    for loop in tree.find_all(nodes.For):
        loop.iter = nodes.Filter(loop.iter, "counted", [], [], None, None, lineno=loop.lineno)
    tree.set_environment(environment)
    return Template.from_code(environment, environment.compile(tree, name=path, filename=path), {})


def _limited(pieces: Iterable[str]) -> str:
    kept, size = [], 0
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        if size > _MOST_TEXT:
            raise SecurityError(f"gives more than {_MOST_TEXT} characters")
    return "".join(kept)


def _line(error: Exception, path: str) -> int:
    """The template's line that raised: Jinja rewrites the traceback to it."""
    trace, line = error.__traceback__, 1
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


# --- shape and values


@lru_cache(maxsize=4096)
def _parsed(shape: str, path: str) -> Sequence[object]:
    read = yaml.read_template(shape, path)
    for problem in (problem for document in read for problem in document.problems):
        raise RenderError(_ANY.sub("{{ }}", problem.reason), origin=problem.origin, hint=problem.hint)
    return [document.value for document in read]


def _filled(node: object, values: Sequence[object], path: str) -> Any:  # noqa: ANN401 - any JSON value
    """A copy of the parsed tree with every placeholder replaced, and without empty maps and lists.

    Those would get some kinds a new resourceVersion from every apply.
    """
    match node:
        case dict():
            filled = {_text(key, values): _filled(value, values, path) for key, value in node.items()}
            if len(filled) != len(node):
                raise RenderError(f"two keys of one map become the same: {sorted(filled)}", origin=Origin(path))
            return {key: value for key, value in filled.items() if value not in ({}, [])}
        case list():
            return [_filled(item, values, path) for item in node]
        case str() if _CLOSE in node:
            whole = _WHOLE.fullmatch(node)
            return values[int(whole[1])] if whole else _text(node, values)
        case _:
            return node


def _text(text: str, values: Sequence[object]) -> str:
    if _CLOSE not in text:
        return text
    return _ANY.sub(lambda match: _as_text(values[int(match[1])]), text)


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
