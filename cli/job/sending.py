"""Making a job's objects on the cluster: the Job first, then what it ships; nothing half done is left in silence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cli import console
from cli.submission.manifest import owned
from reconciler.cluster import Body, Cluster
from reconciler.errors import ClusterError, Conflict, NotFound, Unreachable
from reconciler.kinds import CONFIG_MAP, JOB

ATTEMPTS = 3
"""At a name that nobody has: two submissions in millions draw the same letters."""


@dataclass(frozen=True, slots=True)
class Objects:
    """A Job, and the ConfigMap with its files, if it has any."""

    job: Body
    files: Body | None = None

    @property
    def bodies(self) -> Sequence[Body]:
        """In the order in which they are made."""
        return [self.job, *([self.files] if self.files else [])]


def send(cluster: Cluster, make: Callable[[], Objects], project: str) -> Objects:
    """Create what ``make`` makes under a new name each time; the objects as they are live. Raises: ClusterError."""
    tried: list[str] = []
    while True:
        objects = make()
        name = objects.job["metadata"]["name"]
        try:
            return _send(cluster, objects, project)
        except Conflict as error:
            if name in tried or len(tried) == ATTEMPTS:
                error.hint = error.hint or f"choose another name, or `jobq delete -p {project} {name}` first"
                raise
        tried.append(name)


def checked(cluster: Cluster, objects: Objects) -> Objects:
    """As the server would keep them. Raises: ClusterError."""
    job = _stripped(cluster.create(JOB, objects.job, dry_run=True))
    files = cluster.create(CONFIG_MAP, objects.files, dry_run=True) if objects.files else None
    return Objects(job, _stripped(files) if files else None)


def _send(cluster: Cluster, objects: Objects, project: str) -> Objects:
    job = _create_job(cluster, objects.job, project)
    files = _ship(cluster, owned(objects.files, job), job, project) if objects.files else None
    return Objects(_stripped(job), _stripped(files) if files else None)


def _create_job(cluster: Cluster, body: Body, project: str) -> Body:
    unknown = f"whether {body['metadata']['name']} was made is unknown: `jobq list -p {project}` shows it"
    try:
        return cluster.create(JOB, body)
    except Unreachable as error:
        error.hint = unknown
        raise
    except KeyboardInterrupt:
        console.talk(unknown)
        raise
    except ClusterError as error:
        if "failed calling webhook" in str(error):
            error.hint = "Kueue doesn't answer: nothing was made, try again in a moment"
        raise


def _ship(cluster: Cluster, files: Body, job: Body, project: str) -> Body:
    """The job waits for its files: where they can't be made, it goes."""
    try:
        return cluster.create(CONFIG_MAP, files)
    except ClusterError as error:
        error.hint = _undone(cluster, job, project)
        raise
    except KeyboardInterrupt:
        console.talk(_undone(cluster, job, project))
        raise


def _undone(cluster: Cluster, job: Body, project: str) -> str:
    """Delete the Job again, and say what became of it."""
    meta = job["metadata"]
    try:
        cluster.delete(JOB, meta["name"], namespace=meta["namespace"], uid=meta["uid"])
    except NotFound:
        pass
    except ClusterError:
        return f"the job was made without its files, and can't run: `jobq delete -p {project} {meta['name']}`"
    return "the job was taken back: nothing is left of it"


def _stripped(answer: Body) -> Body:
    answer["metadata"].pop("managedFields", None)
    return answer
