"""What the pods of a node have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.controlplane.runner.api import Api, Resource
from tests.controlplane.runner.hosts import Hosts


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for every pod; waiting times in seconds."""

    node: str
    resources: Mapping[str, str]
    """What the node says it has."""
    state: Path
    """The runner's own directory."""
    hide: Sequence[str]
    """Paths that containers see empty."""
    path: str
    """PATH in containers."""
    back_off_s: float
    retry_s: float


@dataclass(frozen=True, slots=True)
class World:
    """What a pod needs of its node."""

    api: Api
    settings: Settings
    hosts: Hosts
    services: Mapping[str, Resource]

    def directory(self, uid: str) -> Path:
        """A pod's own directory."""
        return self.settings.state / "pods" / uid
