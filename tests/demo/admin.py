"""An admin's night: drift is repaired live, an accident is refused, and what is meant is approved."""

import time

from tests.demo.story import Person, Story, say

LEE = Person("lee@example.org", ("oidc:group-03",))
PROJECTS = [f"group-{number:02}" for number in range(1, 13)]


def _file(name: str) -> str:
    return f"""apiVersion: jobq.io/v1alpha1
kind: Project
metadata:
  name: {name}
spec:
  clusterQueue: gpu-shared
  members:
    - {{group: "oidc:{name}", role: researcher}}
  limits:
    jobs: 500
"""


def tell(story: Story) -> None:
    """The night."""
    story.tell("Twelve groups share a cluster. Their projects are declared in git, and reconciled by a watch.")
    folder = story.repository / "projects.d"
    folder.mkdir(parents=True)
    story.run("git", "init", "--quiet", "--initial-branch=main")
    (story.repository / "jobq.toml").write_text('cluster = "demo"\n', encoding="utf-8")
    for name in PROJECTS:
        (folder / f"{name}.yaml").write_text(_file(name), encoding="utf-8")
    story.commit("Twelve projects")
    story.run("jobq", "bootstrap", "--apply", says="objects applied")
    story.run("jobq", "doctor")

    with story.beside("jobq", "reconcile", "--watch") as watch:
        watch.until("created")

        story.tell("In the night somebody takes lee's group its access away, by hand. It is back within two seconds.")
        can_i = ("kubectl", "auth", "can-i", "create", "jobs", "--namespace", "group-03")
        story.soon(*can_i, by=LEE, says="yes")
        began = time.monotonic()
        story.run("kubectl", "delete", "rolebinding", "jobq:researcher", "--namespace", "group-03")
        watch.until("created")
        say(f"  (after {time.monotonic() - began:.1f} s, kubectl included)")
        story.soon(*can_i, by=LEE, says="yes")

        story.tell("A limit is raised past what git says: taken back, and the plan says whose hand it was.")
        patch = '{"spec":{"hard":{"count/jobs.batch":"9999"}}}'
        story.run("kubectl", "patch", "resourcequota", "jobq", "--namespace", "group-05", "--patch", patch)
        watch.until("configured")

        story.tell("Repairs by hand are announced, so that nothing takes them back: held until a day, with a reason.")
        day = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 3 * 86400))
        held = (f"jobq.io/hold-until={day}", "jobq.io/hold-reason=network trouble")
        story.run("kubectl", "annotate", "namespace", "group-07", *held)
        story.run("jobq", "plan", says="group-07")
        story.run("kubectl", "annotate", "namespace", "group-07", "jobq.io/hold-until-", "jobq.io/hold-reason-")

        story.tell("A careless commit removes five projects: refused, with its numbers and the way out.")
        story.run("git", "rm", "--quiet", *(f"projects.d/{name}.yaml" for name in PROJECTS[:5]))
        story.commit("Tidy up")
        watch.until("refused")
        story.soon(*can_i, by=LEE, says="yes")
        output = story.run("jobq", "plan", ends=4, says="jobq approve")

        story.tell("It was meant, this time. An admin approves exactly this plan, and the watch goes on by itself.")
        digest = output.rpartition("jobq approve ")[2].split()[0]
        story.run("jobq", "approve", digest)
        watch.until("configured")
        story.soon(*can_i, by=LEE, ends=1, says="no")

        story.tell("An old pipeline runs again: its commit would bring lee's access back, so it is refused.")
        story.run("jobq", "reconcile", "--ref", "HEAD~1", ends=4, says="--rewind")

        story.tell("Archived projects keep their data until an admin purges them.")
        story.run("jobq", "project", "purge", "group-01", "--yes")
        story.run("kubectl", "get", "namespace", "group-01", ends=1, says="NotFound")

        story.tell("Interrupted, the watch finishes what is in flight, and ends.")
    story.run("jobq", "reconcile", says="in sync")
