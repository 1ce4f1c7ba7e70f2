"""What is read of one job for its explanation, from answers that are told beforehand; and what is kept of it."""

import json
from typing import Any, cast

from cli.explain import recording
from cli.job import gathering, positions
from tests.test_positions import Visible, pending


def visible(server: Visible, workload: str) -> dict[str, Any]:
    return gathering._visible(cast("Any", server), "vision", "main", workload)


def test_no_further_than_the_job() -> None:
    """What comes behind it is neither asked for nor kept: the last on the second page, the first on the first."""
    items = [pending(f"w{number}", number, number) for number in range(positions.PAGE + 100)]
    server = Visible(items)
    assert visible(server, items[-1]["metadata"]["name"])["items"] == items
    assert len(server.asked) == 2
    server.asked.clear()
    assert visible(server, "w1")["items"] == items[:2]
    assert len(server.asked) == 1


def test_nothing_of_others_is_kept() -> None:
    """Jobs of other namespaces, which some releases of Kueue mix in, are in no evidence."""
    server = Visible([pending("secret-plan", 0, 0, "speech"), pending("ours", 1, 1)])
    assert "secret-plan" not in json.dumps(visible(server, "ours"))


SECRET = "s3cret"
POD = {
    "containers": [
        {
            "name": "main",
            "image": "example.org/train:1",
            "command": [SECRET],
            "args": [SECRET],
            "env": [
                {"name": "TOKEN", "value": SECRET},
                {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "x"}}},
            ],
            "livenessProbe": {"exec": {"command": [SECRET]}},
            "lifecycle": {"preStop": {"exec": {"command": [SECRET]}}},
        }
    ],
    "initContainers": [{"name": "setup", "env": [{"name": "TOKEN", "value": SECRET}]}],
    "volumes": [{"name": "data", "csi": {"volumeAttributes": {"password": SECRET}}}],
}
META = {
    "name": "train",
    "namespace": "vision",
    "annotations": {
        "kubectl.kubernetes.io/last-applied-configuration": SECRET,
        "jobq.io/command": SECRET,
        "kueue.x-k8s.io/admission-gated-by": "jobq.io/hold",
    },
    "managedFields": [{"manager": SECRET}],
}


def test_no_secrets_are_kept() -> None:
    """No value of a variable, no command, no annotation that people write, no output of a program."""
    ended = {"exitCode": 1, "message": SECRET}
    container = {"name": "main", "state": {"terminated": ended}, "lastState": {"terminated": ended}}
    template = {"metadata": {"annotations": {"note": SECRET}}, "spec": POD}
    job = {"metadata": META, "spec": {"suspend": True, "template": template}}
    ray = {
        "kind": "RayJob",
        "metadata": META,
        "spec": {"entrypoint": SECRET, "runtimeEnvYAML": SECRET, "suspend": True},
    }
    kept = [
        recording.job(job),
        recording.job(ray),
        recording.workload(
            {"metadata": META, "spec": {"podSets": [{"name": "main", "count": 1, "template": template}]}}
        ),
        recording.pod({"metadata": META, "spec": POD, "status": {"containerStatuses": [container]}}),
        recording.event({"reason": "Unhealthy", "message": SECRET, "involvedObject": {"kind": "Pod"}}),
    ]
    assert SECRET not in json.dumps(kept)
    assert recording.job(job)["metadata"]["annotations"] == {"kueue.x-k8s.io/admission-gated-by": "jobq.io/hold"}
    assert recording.job(ray)["spec"] == {"suspend": True}
    env = recording.pod_spec(POD)["containers"][0]["env"]
    assert env == [{"name": "TOKEN"}, {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "x"}}}]
