"""What is wrong with a file, in words: one problem for each thing, at its place, with the nearest right word."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from reconciler.declaring.forms import FORM_MARK
from reconciler.declaring.scalars import shown
from reconciler.documents.document import Document, Path
from reconciler.model import Problem

_Model = TypeVar("_Model", bound=BaseModel)


def validated(model: type[_Model], document: Document, problems: list[Problem]) -> _Model | None:
    """A document as that form; None where it is not, and why among the problems."""
    try:
        return model.model_validate(document.value, by_alias=True, by_name=False)
    except ValidationError as invalid:
        errors = [{**error, "loc": _path(error)} for error in invalid.errors(include_url=False)]
        untold = [error for error in errors if not _told(error, document)]
        misspelt = {path for error in errors if (path := _meant(error, model))}
        problems += [_explain(error, model, document) for error in untold if error["loc"] not in misspelt]
        return None


def _path(error: Mapping[str, Any]) -> Path:
    """Where in the file an error is: without the steps that are pydantic's own."""
    *steps, last = error["loc"] or ("",)
    kept = [*steps] if last == "[key]" and error["type"] != "extra_forbidden" else [*steps, last]
    return tuple(step for step in kept if not str(step).startswith(FORM_MARK)) if error["loc"] else ()


def _meant(error: Mapping[str, Any], model: type[BaseModel]) -> tuple[str | int, ...]:
    """The field that an unknown one was surely meant to be: no need to call that one missing too."""
    path = error["loc"]
    near = nearest(str(path[-1]), _fields(model, path[:-1])) if error["type"] == "extra_forbidden" else ""
    return (*path[:-1], near) if near else ()


def _told(error: Mapping[str, Any], document: Document) -> bool:
    """Whether reading the file has already complained about this value, or one around it."""
    path = error["loc"]
    return any(tuple(path[:length]) in document.refused for length in range(len(path) + 1))


def _explain(error: dict[str, Any], model: type[BaseModel], document: Document) -> Problem:
    path = error["loc"]
    field = ".".join(map(_step, path)) or "the file"
    kind, found, context = error["type"], error.get("input"), error.get("ctx", {})
    place = document.place(path)
    if kind == "extra_forbidden":
        allowed = _fields(model, path[:-1])
        near = nearest(str(path[-1]), allowed)
        place = document.keys.get(path, document.place(path))
        return Problem(
            place, f"unknown field {field}", f"did you mean {near}?" if near else f"allowed: {', '.join(allowed)}"
        )
    if kind == "missing":
        return Problem(document.place(path[:-1]), f"{field} is missing")
    if kind == "literal_error":
        near = nearest(str(found), re.findall(r"'([^']*)'", context["expected"]))
        hint = f"did you mean {near}?" if near else ""
        return Problem(place, f"{field} is {shown(found)}; allowed: {context['expected'].replace(chr(39), '')}", hint)
    if kind in {"value_error", "assertion_error"}:
        return Problem(place, f"{field}: {context['error']}")
    return Problem(place, *_type_words(kind, field, found, error["msg"]))


def _step(step: str | int) -> str:
    """A key or an index as it can stand in a dotted path."""
    text = str(step)
    return text if re.fullmatch(r"[\w./-]{1,60}", text) else shown(text)


def _type_words(kind: str, field: str, found: object, message: str) -> tuple[str, str]:
    there = shown(found)
    if kind == "string_type" and isinstance(found, bool | int | float | date):
        return (
            f"{field} is {there}, not text",
            f'write it in quotes: "{str(found).lower() if isinstance(found, bool) else found}"',
        )
    if kind == "bool_type":
        return f"{field} is {there}; allowed: true, false", "write true or false, without quotes"
    if kind == "too_short" and not found:
        return f"{field} is empty", "leave it out, or write at least one"
    if kind == "int_type":
        return f"{field} is {there}, not a whole number", "write digits alone, without quotes"
    wanted = {"list_type": "a list", "dict_type": "a map", "model_type": "a map", "string_type": "text"}.get(kind)
    if wanted:
        return f"{field} is {there}, not {wanted}", f"write [{found}]" if kind == "list_type" and isinstance(
            found, str
        ) else ""
    return f"{field} is {there}: {message[0].lower()}{message[1:]}", ""


def _fields(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The words allowed at that path of a model."""
    for step in path:
        if isinstance(step, int):
            continue
        field = next((f for name, f in model.model_fields.items() if step in {f.alias, name}), None)
        nested = next(_forms(field.annotation), None) if field else None
        if nested is None:
            return []
        model = nested
    return [field.alias or name for name, field in model.model_fields.items()]


def _forms(annotation: object) -> Iterator[type[BaseModel]]:
    """The forms that a field may have, whatever they are wrapped in."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _forms(inner)


def nearest(word: str, words: Iterable[str]) -> str:
    """The word that was surely meant, or ``""``."""
    lower = {candidate.lower(): candidate for candidate in words}
    return next((lower[match] for match in difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.6)), "")
