"""Reads YAML files of the control plane's makers, and our own."""

from pathlib import Path

from ruamel.yaml import YAML

from tests.controlplane.api import Document


def read(path: Path) -> list[Document]:
    """Every document of a YAML file."""
    found = YAML(typ="safe", pure=False).load_all(path.read_text(encoding="utf-8"))
    return [document for document in found if document]


def read_all(folder: Path, glob: str) -> list[Document]:
    """Every document of the files that `glob` finds, by name."""
    return [document for path in sorted(folder.glob(glob)) for document in read(path)]
