"""Declaration, template texts, today -> manifests. A value from a file can only ever become a leaf of a manifest.

Every ``{{ }}`` writes a placeholder, never the value. What is left is the *shape*: it is parsed as YAML, and the
placeholders are replaced in the parsed tree. So no value is ever read as YAML, and projects of one shape share a parse.

What a template may not do: name a kind that isn't in the table, leave the project's namespace, bind another role,
change our labels (the fence), capture output in a block, or loop and compute without bound.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import SandboxedEnvironment

from reconciler.amounts import canonical
from reconciler.documents import yaml
from reconciler.errors import RenderError
from reconciler.kinds import APPLY_ORDER, BY_KIND, Kind
from reconciler.model import (
    CATALOGUE_FORMAT,
    MANAGED_BY,
    MANAGER,
    PROJECT_LABEL,
    ROBOT,
    SYSTEM_NAMESPACE,
    Body,
    Claim,
    Declaration,
    JobOptions,
    Limits,
    Manifest,
    Member,
    Network,
    ObjectRef,
    Origin,
    Project,
    Role,
    Settings,
)

Templates = Mapping[str, tuple[str, str]]
"""Name -> (path for messages, text)."""

_OPEN, _TEXT, _CLOSE = "\ue000", "\ue001", "\ue002"
_QUOTED = re.compile(rf"""(?<=[\[{{, ])(?<![=>] )(["']){_OPEN}(\d+){_CLOSE}\1(?=\s*(?:$|[,\]}}#]))""", re.MULTILINE)
"""A scalar that is one quoted placeholder; not a quoted part of a longer one."""
_WHOLE = re.compile(rf"{_OPEN}(\d+){_CLOSE}")
_ANY = re.compile(rf"[{_OPEN}{_TEXT}](\d+){_CLOSE}")
_MOST_STEPS = 100_000
"""Loop rounds and outputs that one rendering of one template may take."""
_MOST_TEXT = 1 << 20
"""Characters that a template's output, or a text computed in it, may have."""


def render(declaration: Declaration, templates: Templates, today: date) -> tuple[Manifest, ...]:
    """All manifests of all projects, by project and apply order. Raises: RenderError."""
    engine = _Engine(templates)
    manifests: list[Manifest] = []
    for _, project in sorted(declaration.projects.items()):
        mine = list(_of_project(engine, project, declaration.settings, today))
        manifests += sorted(
            mine, key=lambda manifest: (APPLY_ORDER[manifest.ref.group, manifest.ref.kind], manifest.ref)
        )
    return tuple(manifests)


def render_bootstrap(templates: Templates, words: Mapping[str, object]) -> tuple[Body, ...]:
    """What an admin installs once, in the templates' order. The admin's own: no fence. Raises: RenderError."""
    engine = _Engine(templates)
    return tuple(body for name in sorted(templates) for body in engine.bodies(name, words))


def in_force(members: Sequence[Member], today: date) -> tuple[Member, ...]:
    """The members whose access has not expired; ``expires`` is the last day of it."""
    return tuple(member for member in members if member.expires is None or today <= member.expires)


# ------------------------------------------------------------------------------------------------ one project


def _of_project(engine: "_Engine", project: Project, settings: Settings, today: date) -> Iterator[Manifest]:
    words = _words(project, settings, today)
    seen: dict[ObjectRef, str] = {}
    for name in sorted(engine.templates):
        for body in engine.bodies(name, words):
            template = engine.templates[name][0]
            manifest = _fenced(body, project, Origin(template))
            if manifest.ref in seen:
                raise RenderError(f"{manifest.ref} comes from {seen[manifest.ref]} too", origin=Origin(template))
            seen[manifest.ref] = template
            yield manifest


def _words(project: Project, settings: Settings, today: date) -> dict[str, object]:
    """What templates may say: the project file's own words, resolved."""
    members = in_force(project.members, today)
    return {
        "project": {
            "name": project.name,
            "namespace": project.namespace,
            "queue": project.queue,
            "clusterQueue": project.cluster_queue,
            "displayName": project.display_name,
            "description": project.description,
            "tags": list(project.tags),
            "active": project.active,
            "whenInactive": str(project.when_inactive),
            "state": "active" if project.active else "paused",
            "defaults": _defaults(project.defaults),
            "members": _entry_members(project, members),
            "priorities": list(project.priorities or ()),
            "limits": _limits(project.limits),
            "quota": _quota(project.limits),
            "container": _container(project.limits),
            "network": _network(project.network),
            "robot": str(project.robot or ""),
            "podSecurity": project.pod_security,
            "storage": [_claim(claim) for claim in project.storage],
            "labels": _pairs(project.labels),
            "annotations": _pairs(project.annotations),
            "source": project.source,
        },
        "bindings": [
            {"role": str(role), "members": subjects}
            for role in Role
            if (subjects := list(_subjects(project, members, role)))
        ],
        "settings": {
            "cluster": settings.cluster,
            "managedNamespaceLabel": list(settings.managed_namespace_label or ()),
        },
        "format": CATALOGUE_FORMAT,
    }


def _subjects(project: Project, members: Sequence[Member], role: Role) -> Iterator[dict[str, str]]:
    """Who is bound to a role: people and groups, then the robot."""
    for kind, name in dict.fromkeys((member.kind, member.name) for member in members if member.role is role):
        yield {"kind": str(kind), "name": name, "namespace": ""}
    if project.robot is role:
        yield {"kind": "ServiceAccount", "name": ROBOT, "namespace": project.namespace}


def _entry_members(project: Project, members: Sequence[Member]) -> list[dict[str, str]]:
    """Everybody with a role, as the catalogue tells it; the robot by the user name that the server knows it by."""
    told = [_as_declared(member) for member in members]
    if project.robot:
        robot = f"system:serviceaccount:{project.namespace}:{ROBOT}"
        told.append({"user": robot, "role": str(project.robot)})
    return told


def _as_declared(member: Member) -> dict[str, str]:
    words = {member.kind.lower(): member.name, "role": str(member.role)}
    words |= {"from": "jobq.toml"} if member.everywhere else {}
    return words if member.expires is None else words | {"expires": member.expires.isoformat()}


def _network(network: Network) -> dict[str, object]:
    admitted = [_pairs(labels) for labels in network.admitted or ()]
    return {"isolated": network.admitted is not None, "admitted": admitted, "egress": str(network.egress)}


def _claim(claim: Claim) -> dict[str, str]:
    size = canonical(claim.size)
    return {"name": claim.name, "size": size, "class": claim.storage_class, "access": claim.access}


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    """A map as templates can loop over it."""
    return [{"key": key, "value": value} for key, value in sorted(values.items())]


def _limits(limits: Limits) -> dict[str, object]:
    """Only what is said, under the file's own words."""
    container = {"requests": limits.requests, "limits": limits.limits, "max": limits.largest}
    said = {
        "jobs": limits.jobs,
        "persistentVolumeClaims": limits.persistent_volume_claims,
        "storage": limits.storage,
        "container": {word: dict(amounts) for word, amounts in container.items() if amounts} or None,
    }
    return {word: value for word, value in said.items() if value is not None}


def _quota(limits: Limits) -> list[dict[str, str]]:
    """What a ResourceQuota counts: objects and storage."""
    hard = {
        "count/jobs.batch": limits.jobs,
        "persistentvolumeclaims": limits.persistent_volume_claims,
        "requests.storage": limits.storage and canonical(limits.storage),
    }
    return _pairs({name: str(amount) for name, amount in hard.items() if amount is not None})


def _container(limits: Limits) -> dict[str, list[dict[str, str]]]:
    """What a LimitRange says, with what the server would fill in: defaults from max, requests from defaults."""
    defaults = {**limits.largest, **limits.limits}
    amounts = {"max": limits.largest, "default": defaults, "defaultRequest": {**defaults, **limits.requests}}
    return {word: _pairs({name: canonical(text) for name, text in said.items()}) for word, said in amounts.items()}


def _defaults(options: JobOptions) -> dict[str, object]:
    """Only what is said, under the file's own words."""
    said = {
        "image": options.image,
        "cpu": options.cpu,
        "memory": options.memory,
        "gpus": options.gpus,
        "flavor": options.flavor,
        "priority": options.priority,
        "time": options.time,
        "ttl": options.ttl,
        "workdir": options.workdir,
        "env": dict(options.env) or None,
        "volumes": list(options.volumes) or None,
        "imagePullSecrets": list(options.image_pull_secrets) or None,
    }
    return {word: value for word, value in said.items() if value is not None}


# ------------------------------------------------------------------------------------------------ the fence


_SAID = {
    "LocalQueue": "spec.clusterQueue",
    "RoleBinding": "spec.members",
    "ResourceQuota": "spec.limits",
    "LimitRange": "spec.limits.container",
    "NetworkPolicy": "spec.network",
}
"""Kind -> the field of the project file that it comes from, where there is one."""


def _fenced(body: Body, project: Project, origin: Origin) -> Manifest:
    """The manifest, with namespace and labels in place. Raises: RenderError where the template leaves its room."""
    kind = _kind(body, origin)
    metadata = body.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        raise RenderError("metadata.name must be text", origin=origin)
    home = SYSTEM_NAMESPACE if kind.system else project.namespace if kind.resource.namespaced else ""
    if metadata.get("namespace", home) != home:
        raise RenderError(f"metadata.namespace must be {home or 'absent'}: leave it out", origin=origin)
    own_name = {"Namespace": project.namespace, "ConfigMap": project.name}.get(kind.resource.kind)
    if own_name and metadata["name"] != own_name:
        raise RenderError(f"the {kind.resource.kind} of a project is named {own_name}", origin=origin)
    if home:
        metadata["namespace"] = home
    labels = metadata.setdefault("labels", {})
    for key, value in ((MANAGED_BY, MANAGER), (PROJECT_LABEL, project.name)):
        if labels.setdefault(key, value) != value:
            raise RenderError(f"the label {key} is jobq's own: leave it out", origin=origin)
    if kind.resource.kind == "RoleBinding":
        _fence_binding(body, origin)
    ref = ObjectRef(kind.resource.group, kind.resource.kind, home, metadata["name"])
    return Manifest(ref, body, project.name, project.place(_said(ref, project)))


def _said(ref: ObjectRef, project: Project) -> str:
    """The field of the project file that an object comes from; ``""`` where all of it is meant."""
    if ref.kind == "PersistentVolumeClaim":
        places = {claim.name: f"spec.storage.{at}" for at, claim in enumerate(project.storage)}
        return places.get(ref.name, "")
    return "spec.robot" if (ref.kind, ref.name) == ("ServiceAccount", ROBOT) else _SAID.get(ref.kind, "")


def _kind(body: Body, origin: Origin) -> Kind:
    said = (body.get("apiVersion"), body.get("kind"))
    for kind in BY_KIND.values():
        if said == (kind.resource.api_version, kind.resource.kind):
            return kind
    allowed = ", ".join(kind.resource.kind for kind in BY_KIND.values())
    raise RenderError(f"{said[0]} {said[1]} is no kind a project may have ({allowed})", origin=origin)


def _fence_binding(body: Body, origin: Origin) -> None:
    role = body.get("roleRef", {})
    name = role.get("name", "")
    if role.get("kind") != "ClusterRole" or name not in {f"jobq-project-{role}" for role in Role}:
        raise RenderError(f"roleRef {name!r} is none of the three project roles", origin=origin)
    if body["metadata"]["name"] != f"jobq:{name.removeprefix('jobq-project-')}":
        raise RenderError(f"the binding of {name} is named jobq:{name.removeprefix('jobq-project-')}", origin=origin)


# ------------------------------------------------------------------------------------------------ the engine


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


class _Engine:
    """The templates of one run."""

    def __init__(self, templates: Templates) -> None:
        self.templates = templates

    def bodies(self, name: str, words: Mapping[str, object]) -> Sequence[Body]:
        """The objects that one template makes of these words. Raises: RenderError."""
        path, text = self.templates[name]
        budget = _Budget()
        try:
            output = _limited(_compiled(text, path).generate(_budget=budget, **words))
        except TemplateSyntaxError as error:
            raise RenderError(str(error.message), origin=Origin(path, error.lineno, 1)) from error
        except (TemplateError, ArithmeticError, TypeError, ValueError, RecursionError) as error:
            raise RenderError(str(error), origin=Origin(path, _line(error, path), 1)) from error
        shape = _QUOTED.sub(rf'"{_TEXT}\2{_CLOSE}"', output)
        return [_filled(tree, budget.values, path) for tree in _parsed(shape, path)]


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


# ------------------------------------------------------------------------------------------------ shape and values


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
