"""What a project's fields may not say together, and what jobq.toml doesn't allow them. ``forms`` has the rest."""

import re
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal

from reconciler.amounts import quantity
from reconciler.declaring.forms import NetworkFile, SpecFile
from reconciler.declaring.problems import nearest
from reconciler.declaring.scalars import shown
from reconciler.documents.document import Document
from reconciler.labels import is_taken
from reconciler.model import KeyRule, Problem, Settings


def together(spec: SpecFile, document: Document) -> Iterator[Problem]:
    """What the fields of one file may not say together."""
    wanted = spec.defaults.priority
    if spec.priorities is not None and wanted is not None and wanted not in spec.priorities:
        reason = f"spec.defaults.priority is {wanted}, which spec.priorities doesn't allow"
        yield Problem(
            document.place(("spec", "defaults", "priority")), reason, f"allowed: {', '.join(spec.priorities)}"
        )
    container = spec.limits.container
    for word, (small, small_name), (large, large_name) in container.pairs():
        if small and large and quantity(small) > quantity(large):
            place = document.place(("spec", "limits", "container", small_name, word))
            yield Problem(place, f"{small_name}.{word} is {small}, more than {large_name}.{word} ({large})")
    yield from _storage(spec, document)


def _storage(spec: SpecFile, document: Document) -> Iterator[Problem]:
    """Claims have names of their own, and all of them fit the limits: else the server would refuse the last ones."""
    seen: set[str] = set()
    total, limits = Decimal(0), spec.limits
    for at, claim in enumerate(spec.storage):
        if claim.name in seen:
            yield Problem(document.place(("spec", "storage", at, "name")), f"there are two claims {claim.name}")
        seen.add(claim.name)
        total += quantity(claim.size)
        if limits.storage and total > quantity(limits.storage):
            place = document.place(("spec", "storage", at, "size"))
            yield Problem(place, f"the claims up to {claim.name} are more than limits.storage ({limits.storage})")
            break
    most = limits.persistent_volume_claims
    if most is not None and len(spec.storage) > most:
        reason = f"{len(spec.storage)} claims are more than limits.persistentVolumeClaims ({most})"
        yield Problem(document.place(("spec", "storage")), reason)


def by_settings(
    spec: SpecFile, name: str, settings: Settings, projects: Collection[str], document: Document
) -> Iterator[Problem]:
    """What jobq.toml doesn't allow this project; ``projects`` are the names of all that there are."""
    if spec.network == "open" and name not in settings.open_network:
        hint = f'an admin adds it to jobq.toml: openNetwork = ["{name}"]'
        yield Problem(document.place(("spec", "network")), f"{name} may not have an open network", hint)
    if isinstance(spec.network, NetworkFile):
        for at, source in enumerate(spec.network.from_):
            if source not in settings.networks and source not in projects:
                near = nearest(source, (*settings.networks, *projects))
                hint = f"did you mean {near}?" if near else "networks stand in jobq.toml under [networks]"
                place = document.place(("spec", "network", "from", at))
                yield Problem(place, f"there is no network and no project {source}", hint)
    yield from _keys("labels", spec.labels, settings.labels, document)
    yield from _keys("annotations", spec.annotations, settings.annotations, document)


def _keys(word: str, said: Mapping[str, str], rules: Mapping[str, KeyRule], document: Document) -> Iterator[Problem]:
    for key, value in said.items():
        path = ("spec", word, key)
        if key not in rules:
            near = nearest(key, rules)
            hint = f"did you mean {near}?" if near else f'an admin allows it in jobq.toml: [{word}."{key}"]'
            hint = "it is jobq's or Kubernetes' own" if is_taken(key) else hint
            yield Problem(document.keys.get(path, document.place(path)), f"spec.{word} may not have {key}", hint)
        elif not re.fullmatch(rules[key].pattern, value, re.DOTALL):
            reason = f"{key} is {shown(value)}, which jobq.toml doesn't allow"
            yield Problem(document.place(path), reason, f"it must match {rules[key].pattern}")
    for key, rule in rules.items():
        if rule.required and key not in said:
            hint = f'write it: {word}: {{{key}: "..."}}, matching {rule.pattern}'
            yield Problem(document.place(("spec", word)), f"spec.{word} lacks {key}, which jobq.toml requires", hint)
