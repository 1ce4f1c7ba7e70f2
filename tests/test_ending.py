"""What keeps a namespace that is being deleted, from the conditions that the server writes."""

from typing import Any

from reconciler.planning.ending import blockers, is_ending, way_out_of, why_ending

DISCOVERY = (
    "Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: "
    "nowhere.example.org/v1alpha1: stale GroupVersion discovery: nowhere.example.org/v1alpha1"
)


def namespace(*conditions: tuple[str, str, str], finalizers: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "metadata": {"name": "vision", "deletionTimestamp": "2027-01-15T08:00:00Z", "finalizers": list(finalizers)},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"conditions": [{"type": t, "status": s, "message": m} for t, s, m in conditions]},
    }


def test_alive() -> None:
    """A namespace that nobody has deleted isn't ending."""
    assert not is_ending({"metadata": {"name": "vision"}})


def test_undiscovered() -> None:
    """An aggregated API that is down is named by its group, and its APIService in the way out."""
    [blocker] = blockers(namespace(("NamespaceDeletionDiscoveryFailure", "True", DISCOVERY)))
    assert blocker.text.startswith("the server of nowhere.example.org doesn't answer")
    assert DISCOVERY in blocker.text
    assert blocker.way_out.endswith("kubectl get apiservice v1alpha1.nowhere.example.org")


def test_remaining() -> None:
    """What is left is told in the server's words, and how to see it; conditions that are False block nothing."""
    body = namespace(
        ("NamespaceDeletionContentFailure", "False", "All content successfully deleted"),
        ("NamespaceContentRemaining", "True", "Some resources are remaining: configmaps. has 1 resource instances"),
        ("NamespaceFinalizersRemaining", "True", "Some content ...: example.org/keep in 1 resource instances"),
        finalizers=("example.org/own",),
    )
    texts = [blocker.text for blocker in blockers(body)]
    assert len(texts) == 3
    assert "kubectl -n vision get configmaps" in way_out_of(body)
    assert "example.org/keep" in why_ending(body)
    assert "the namespace itself has the finalizer example.org/own" in why_ending(body)


def test_nothing_said() -> None:
    """In the first seconds the server says nothing: then waiting helps."""
    assert why_ending(namespace()) == "its contents are being deleted"
    assert "wait until it is gone" in way_out_of(namespace())
