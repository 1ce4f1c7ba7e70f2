"""A namespace that exists and shall become a project: whether it may, and what that means for what lives there.

Adoption sets two labels. From then on the admission policies act there, and the next reconcile brings the rest: nothing
that runs is stopped, and what exists can still be changed and deleted by its owners.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.comparing.holdings import Contents, name_of
from reconciler.comparing.ownership import belongs_to, made_for, own_entry, project_of
from reconciler.model import MANAGED_BY, MANAGER, PROJECT_LABEL, Body, Manifest, Project, Settings
from reconciler.planned import Refusal
from reconciler.planning.ending import is_ending, way_out_of, why_ending
from reconciler.wording import shortened


@dataclass(frozen=True, slots=True)
class Adoptee:
    """A namespace, what lives in it, and the project that it shall become."""

    project: Project
    namespace: Body
    contents: Contents
    manifests: Sequence[Manifest]
    """What reconcile will write into it."""
    settings: Settings
    others: Sequence[str] = ()
    """Further namespaces that carry the label of this project."""
    taken_over: Sequence[str] = ()
    """Objects of the project's that are there already."""
    obstacles: Mapping[str, str] = field(default_factory=dict)
    """Such objects that the server won't let become the project's -> why."""
    warnings: Sequence[str] = ()
    """What the server says of the namespace as it will be: Pod Security above all."""
    kueue: Body | None = None
    """Kueue's configuration; None where it can't be read."""

    @property
    def labels(self) -> Mapping[str, str]:
        """What makes a namespace a project's."""
        return {MANAGED_BY: MANAGER, PROJECT_LABEL: self.project.name}

    @property
    def done(self) -> bool:
        """Whether it has both labels already."""
        return belongs_to(self.namespace, self.project.name)

    @property
    def was_ours(self) -> bool:
        """Whether jobq made it this project's before: only labels were lost."""
        return own_entry(self.namespace) is not None or made_for(self.namespace) == self.project.name


def check_adoption(adoptee: Adoptee) -> Refusal | None:
    """Why a namespace may not become this project; None where it may."""
    name, project = name_of(adoptee.namespace), adoptee.project.name
    if is_ending(adoptee.namespace):
        text = f"namespace {name} is being deleted: {why_ending(adoptee.namespace)}"
        return Refusal(text, way_out_of(adoptee.namespace))
    owner = project_of(adoptee.namespace) or made_for(adoptee.namespace)
    if owner not in {"", project}:
        way_out = (
            f"choose another name; or, if {owner} is to give it up: kubectl label namespace {name} {PROJECT_LABEL}-"
        )
        return Refusal(f"namespace {name} belongs to project {owner}", way_out)
    if adoptee.others:
        where = shortened(adoptee.others)
        way_out = "a project has one namespace: restore that one, or purge it first"
        return Refusal(f"project {project} has a namespace already: {where}", way_out)
    if adoptee.obstacles:
        return _blocked(adoptee)
    return None


def _blocked(adoptee: Adoptee) -> Refusal:
    texts = [f"{ref}: {reason}" for ref, reason in adoptee.obstacles.items()]
    live = {name_of(queue): queue["spec"].get("clusterQueue", "") for queue in adoptee.contents.of("LocalQueue")}
    current = live.get(adoptee.project.queue, "")
    if current not in {"", adoptee.project.cluster_queue}:
        way_out = f"declare clusterQueue: {current}, adopt and reconcile; then a change of it is a move like any other"
    else:
        way_out = "rename or delete that object, or let a template give the project's own another name"
    return Refusal(f"can't be taken over as declared: {'; '.join(texts)}", way_out)
