"""Declaration, template texts, today -> manifests. A value from a file can only ever become a leaf of a manifest.

What a template may say is ``rendering/words.py``, how it is filled ``engine.py``, what it may not do ``fence.py``.
"""

from collections.abc import Iterator, Mapping
from datetime import date

from reconciler.errors import RenderError
from reconciler.kinds import APPLY_ORDER
from reconciler.model import Body, Declaration, Manifest, ObjectRef, Origin, Project, Settings
from reconciler.rendering.engine import bodies
from reconciler.rendering.fence import fenced
from reconciler.rendering.words import words_of

Templates = Mapping[str, tuple[str, str]]
"""Name -> (path for messages, text)."""


def render(declaration: Declaration, templates: Templates, today: date) -> tuple[Manifest, ...]:
    """All manifests of all projects, by project and apply order. Raises: RenderError."""
    manifests: list[Manifest] = []
    for _, project in sorted(declaration.projects.items()):
        manifests += sorted(_of_project(templates, project, declaration.settings, today), key=_turn)
    return tuple(manifests)


def render_bootstrap(templates: Templates, words: Mapping[str, object]) -> tuple[Body, ...]:
    """What an admin installs once, in the templates' order. The admin's own: no fence. Raises: RenderError."""
    return tuple(body for name in sorted(templates) for body in bodies(*templates[name], words))


def _turn(manifest: Manifest) -> tuple[int, ObjectRef]:
    return APPLY_ORDER[manifest.ref.group, manifest.ref.kind], manifest.ref


def _of_project(templates: Templates, project: Project, settings: Settings, today: date) -> Iterator[Manifest]:
    words = words_of(project, settings, today)
    seen: dict[ObjectRef, str] = {}
    for _, (path, text) in sorted(templates.items()):
        for body in bodies(path, text, words):
            manifest = fenced(body, project, Origin(path))
            if manifest.ref in seen:
                raise RenderError(f"{manifest.ref} comes from {seen[manifest.ref]} too", origin=Origin(path))
            seen[manifest.ref] = path
            yield manifest
