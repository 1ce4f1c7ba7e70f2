"""jobq.toml -> Settings, strictly read."""

from collections.abc import Mapping, Sequence

from reconciler import documents
from reconciler.forms import SettingsFile
from reconciler.model import File, Origin, Problem, Settings
from reconciler.problems import nearest, validated

SETTINGS_FILE = "jobq.toml"


def read_settings(files: Mapping[str, File], problems: list[Problem]) -> Settings:
    """The settings of a snapshot; what is wrong with them goes to ``problems``, and defaults take its place."""
    if SETTINGS_FILE not in files:
        problems.append(Problem(Origin(SETTINGS_FILE), "there is no jobq.toml", 'write one with: cluster = "NAME"'))
        return Settings(cluster="")
    document = documents.read_toml(files[SETTINGS_FILE].data, SETTINGS_FILE)
    problems += document.problems
    read = None if document.problems else validated(SettingsFile, document, problems)
    if read is None:
        return Settings(cluster="")
    if read.queue == "default":
        reason = "a LocalQueue named default would take in every job of the namespace, notebooks included"
        problems.append(Problem(document.place(("queue",)), reason, 'write queue = "main"'))
    return Settings(
        cluster=read.cluster,
        queue=read.queue,
        reserved=tuple(read.reserved),
        reconciler=read.reconciler,
        managed_namespace_label=_label_pair(read.managed_namespace_label),
        catalogue_readers=tuple(read.catalogue_readers),
        network_from=tuple(_known_networks(read, document, problems)),
        open_network=tuple(read.open_network),
        networks={name: dict(labels) for name, labels in read.networks.items()},
        expected_bindings=tuple(read.expected_bindings),
        disrupted_limit=read.guard.disrupted,
        job_kinds=tuple((kind.group, kind.resource) for kind in read.kinds),
    )


def _known_networks(read: SettingsFile, document: documents.Document, problems: list[Problem]) -> Sequence[str]:
    for name in read.network_from:
        if name not in read.networks:
            near = nearest(name, read.networks)
            hint = (
                f"did you mean {near}?" if near else f"add a table [networks] with {name} = {{...labels of namespaces}}"
            )
            problems.append(Problem(document.place(("networkFrom",)), f"there is no network {name}", hint))
    return read.network_from


def _label_pair(text: str) -> tuple[str, str] | None:
    key, _, value = text.partition("=")
    return (key, value) if key else None
