"""A commit becomes projects, and a member's job runs in one of them."""

import shutil

from tests.demo.story import CHECKOUT, Person, Story, must, say

ANN = Person("ann@example.org", ("oidc:vision",))
BOB = Person("bob@example.org", ("oidc:speech",))
TRAINING = """import time
for step in range(1, 6):
    print(f"step {step} of 5: loss {1 / step:.3f}", flush=True)
    time.sleep(0.4)
"""


def tell(story: Story) -> None:
    """The main path."""
    story.tell("A projects repository: three groups share one ClusterQueue.")
    story.repository.mkdir()
    story.run("git", "init", "--quiet", "--initial-branch=main")
    shutil.copytree(CHECKOUT / "projects.d", story.repository / "projects.d")
    shutil.copy(CHECKOUT / "jobq.toml", story.repository)
    story.run("cat", "projects.d/vision.yaml")
    story.commit("Three projects")

    story.tell("Once per cluster, an admin installs the roles and says which cluster this is.")
    story.run("jobq", "bootstrap", "--apply", says="objects applied")

    story.tell("The plan: what it means for people first, then every object. Nothing is written yet.")
    story.run("jobq", "plan", says="to create")

    story.tell("Reconcile applies it. CI does this on every merge.")
    story.run("jobq", "reconcile", says="created")

    story.tell("Ann, of the vision group, has a client certificate and the project's role, nothing else.")
    story.run("jobq", "projects", "list", by=ANN, says="vision")
    story.run("jobq", "project", "select", "vision", by=ANN)

    story.tell("She submits a job: no queue, no namespace, no YAML. Kueue admits it, it runs, its output arrives.")
    output = story.run("jobq", "submit", "--follow", "--", "python3", "-c", TRAINING, by=ANN, says="step 5 of 5")
    must(sum(line.startswith("step ") for line in output.splitlines()) == 5, "five lines of output")
    story.run("jobq", "list", by=ANN, says="Succeeded")

    story.tell("Bob is in the speech group: vision's jobs are none of his business.")
    story.run("jobq", "submit", "-p", "vision", "--", "python3", "-c", "1", by=BOB, ends=1, says="error:")

    story.run("kubectl", "auth", "can-i", "create", "jobs", "--namespace", "vision", by=BOB, ends=1, says="no")

    story.tell("Reconciling again: in sync, and not one write.")
    before = story.plane.mark()
    story.run("jobq", "reconcile", says="in sync")
    requests = [request for request in story.plane.requests(since=before) if "jobq/" in request.user_agent]
    writes = [request for request in requests if request.verb not in {"get", "list", "watch"}]
    must(not writes, "no write in the audit log")
    say(f"  the audit log counts {len(requests)} requests, {len(writes)} of them writes")

    story.tell("A pause is one line in a file: speech holds its queue, and its people can still look and stop.")
    story.edit("projects.d/speech.yaml", "spec:\n", "spec:\n  active: false\n")
    story.commit("Pause speech")
    story.run("jobq", "reconcile", says="speech: paused")
    story.run("jobq", "submit", "-p", "speech", "--", "python3", "-c", "1", by=BOB, ends=1, says="paused")

    story.tell("A removed file archives its project: access ends, namespace and data stay.")
    story.run("git", "rm", "--quiet", "projects.d/teaching.yaml")
    story.commit("Archive teaching")
    story.run("jobq", "reconcile", says="teaching: archived")

    story.tell("Removing everything by accident is refused; so is bringing an archived project back without approval.")
    story.run("git", "rm", "--quiet", "projects.d/vision.yaml", "projects.d/speech.yaml")
    story.commit("An accident")
    story.run("jobq", "reconcile", ends=4, says="no project file at all")
    story.run("git", "checkout", "--quiet", "HEAD~2", "--", "projects.d")
    story.commit("Undo it, and bring teaching back")
    output = story.run("jobq", "reconcile", ends=4, says="way out")
    digest = output.rpartition("jobq approve ")[2].split()[0]
    story.run("jobq", "reconcile", "--approved", digest, says="teaching: restored")
