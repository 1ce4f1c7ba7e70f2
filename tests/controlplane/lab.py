"""The lab beside this file in lab.yaml, as plain documents: what demo and tests find in a fresh control plane."""

from pathlib import Path
from typing import Final

from tests.controlplane import documents
from tests.controlplane.api import Document

LAB: Final = Path(__file__).with_name("lab.yaml")


def basics() -> list[Document]:
    """Storage class and fake nodes: a cluster without Kueue."""
    return [document for document in documents.read(LAB) if not _is_kueues(document)]


def fake_nodes() -> list[str]:
    """Names of the nodes that kwok plays."""
    return [document["metadata"]["name"] for document in documents.read(LAB) if document["kind"] == "Node"]


def queues() -> list[Document]:
    """Flavors, priority classes and cluster queues, each after what it names."""
    return [document for document in documents.read(LAB) if _is_kueues(document)]


def _is_kueues(document: Document) -> bool:
    version: str = document["apiVersion"]
    return version.startswith("kueue.x-k8s.io/")
