"""jobq.toml -> Settings, strictly read."""

import re
from collections.abc import Iterator, Mapping

from reconciler.declaring.forms import KeyFile, SettingsFile
from reconciler.declaring.members import doubles, member
from reconciler.declaring.naming import pattern_problems
from reconciler.declaring.problems import nearest, validated
from reconciler.documents import toml
from reconciler.documents.document import Document
from reconciler.model import File, KeyRule, Origin, Problem, Settings

SETTINGS_FILE = "jobq.toml"


def read_settings(files: Mapping[str, File], problems: list[Problem]) -> Settings | None:
    """The settings of a snapshot; None where something is wrong with them, which goes to ``problems``."""
    if SETTINGS_FILE not in files:
        problems.append(Problem(Origin(SETTINGS_FILE), "there is no jobq.toml", 'write one with: cluster = "NAME"'))
        return None
    document = toml.read(files[SETTINGS_FILE].data, SETTINGS_FILE)
    problems += document.problems
    read = None if document.problems else validated(SettingsFile, document, problems)
    if read is None:
        return None
    settings = _resolved(read, document)
    wrong = list(_settled(read, settings, document))
    problems += wrong
    return None if any(not problem.warning for problem in wrong) else settings


def _resolved(read: SettingsFile, document: Document) -> Settings:
    return Settings(
        cluster=read.cluster,
        namespace=read.namespace,
        queue=read.queue,
        reserved=tuple(read.reserved),
        reconciler=read.reconciler,
        managed_namespace_label=_label_pair(read.managed_namespace_label),
        catalogue_readers=tuple(read.catalogue_readers),
        network_from=tuple(read.network_from),
        open_network=tuple(read.open_network),
        networks={name: dict(labels) for name, labels in read.networks.items()},
        expected_bindings=tuple(read.expected_bindings),
        disrupted_limit=read.guard.disrupted,
        job_kinds=tuple((kind.group, kind.resource) for kind in read.kinds),
        labels=_rules(read.labels),
        annotations=_rules(read.annotations),
        members=tuple(
            member(entry, document.place(("members", at)), everywhere=True) for at, entry in enumerate(read.members)
        ),
    )


def _settled(read: SettingsFile, settings: Settings, document: Document) -> Iterator[Problem]:
    """What each setting may say is known; here is what they may not say together."""
    places = document.place(("namespace",)), document.place(("queue",))
    yield from pattern_problems(read.namespace, read.queue, places)
    yield from _unknown_networks(read, document)
    yield from doubles(settings.members)
    for one in settings.members:
        if odd := re.search(r"[{}]", one.name.replace("{project}", "")):
            yield Problem(one.origin, f"{one.name} has a {odd[0]} in it", "the only word in braces is {project}")
    pair = settings.managed_namespace_label
    if pair and pair[0] in read.labels:
        place = document.place(("labels", pair[0]))
        yield Problem(place, f"{pair[0]} is the managedNamespaceLabel: project files can't set it")


def _unknown_networks(read: SettingsFile, document: Document) -> Iterator[Problem]:
    for name in read.network_from:
        if name not in read.networks:
            near = nearest(name, read.networks)
            hint = (
                f"did you mean {near}?" if near else f"add a table [networks] with {name} = {{...labels of namespaces}}"
            )
            yield Problem(document.place(("networkFrom",)), f"there is no network {name}", hint)


def _rules(keys: Mapping[str, KeyFile]) -> dict[str, KeyRule]:
    return {key: KeyRule(rule.pattern, rule.required) for key, rule in keys.items()}


def _label_pair(text: str) -> tuple[str, str] | None:
    key, _, value = text.partition("=")
    return (key, value) if key else None
