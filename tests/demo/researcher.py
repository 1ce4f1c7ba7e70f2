"""A researcher's first hour: a script, an array, what can never fit, a full queue and its reason, a look inside."""

import shutil

from tests.demo.story import CHECKOUT, Person, Story, must

ANN = Person("ann@example.org", ("oidc:vision",))
TRAIN = """# /// script
# requires-python = ">=3.11"
# [tool.jobq]
# cpu = "2"
# memory = "1Gi"
# time = "10m"
# ///
import sys
import time

rate = float(sys.argv[sys.argv.index("--lr") + 1])
for step in range(1, 4):
    print(f"step {step} of 3 at {rate}: loss {rate / step:.4f}", flush=True)
    time.sleep(0.3)
"""
TASK = "import os; print('task', os.environ['JOBQ_ARRAY_INDEX'], 'is done')"
LONG = "import time\nfor minute in range(9):\n    print('minute', minute, flush=True)\n    time.sleep(60)"


def tell(story: Story) -> None:
    """The hour."""
    story.tell("Somebody else has set up the cluster and its projects, once.")
    story.repository.mkdir()
    story.run("git", "init", "--quiet", "--initial-branch=main")
    shutil.copytree(CHECKOUT / "projects.d", story.repository / "projects.d")
    shutil.copy(CHECKOUT / "jobq.toml", story.repository)
    story.commit("Three projects")
    story.quietly("jobq", "bootstrap", "--apply")
    story.quietly("jobq", "reconcile")

    story.tell(
        "Ann looks which projects there are, and selects hers: from now on she names neither queue nor namespace."
    )
    story.run("jobq", "projects", "list", by=ANN, says="vision")
    story.run("jobq", "project", "select", "vision", by=ANN)

    story.tell("Her training script says itself what it needs. It is shipped, queued, run, and its output arrives.")
    script = story.home(ANN) / "train.py"
    script.write_text(TRAIN, encoding="utf-8")
    story.run("cat", "train.py", by=ANN)
    output = story.run("jobq", "submit", "--follow", "train.py", "--lr", "1e-3", by=ANN, says="step 3 of 3")
    must(sum(line.startswith("step ") for line in output.splitlines()) == 3, "three lines of output")

    story.tell("An array: six tasks, two at a time.")
    array = _name(story.run("jobq", "submit", "-o", "name", "--array", "1-6%2", "--", "python3", "-c", TASK, by=ANN))
    story.run("jobq", "wait", array, by=ANN)
    story.run("jobq", "logs", array, by=ANN, says="")

    story.tell("What can never fit is refused before it is sent, with the largest that can.")
    story.run("jobq", "submit", "--gpus", "8", "--", "python3", "-c", "1", by=ANN, ends=2, says="--gpus 4")

    story.tell("A full queue: the second job has to wait, and says why, in one sentence.")
    first = _name(
        story.run("jobq", "submit", "-o", "name", "--gpus", "3", "--name", "long", "--", "python3", "-c", LONG, by=ANN)
    )
    story.soon("jobq", "list", by=ANN, says="Running")
    second = _name(
        story.run(
            "jobq", "submit", "-o", "name", "--gpus", "2", "--name", "next", "--", "python3", "-c", "print(1)", by=ANN
        )
    )
    story.soon("jobq", "why", second, by=ANN, says="Waiting for quota")
    story.run("jobq", "queue", by=ANN, says="next")

    story.tell("A look at what runs: its log, and a shell in it.")
    story.run("jobq", "logs", first, by=ANN, says="minute 0")
    story.run("jobq", "shell", first, "--", "sh", "-c", "echo inside $(hostname)", by=ANN, says="inside")

    story.tell("She stops it, and the waiting one starts at once. Resumed, it waits for its turn, and starts again.")
    story.run("jobq", "stop", "--yes", first, by=ANN)
    story.run("jobq", "wait", second, by=ANN)
    story.run("jobq", "resume", first, by=ANN)
    story.soon("jobq", "status", first, by=ANN, says="Running")
    story.run("jobq", "delete", "--yes", first, by=ANN)
    story.run("jobq", "list", by=ANN, says="Succeeded")


def _name(output: str) -> str:
    return output.rsplit(maxsplit=1)[-1]
