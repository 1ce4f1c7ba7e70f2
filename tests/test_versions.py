"""Versions as clusters write them, and which of them suffice."""

import pytest

from reconciler.versions import Version, image_version, kueue_needed, kueue_suffices, parse_version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v1.36.3", (1, 36, 3)),
        ("1.30", (1, 30, 0)),
        ("v1.33.1-gke.1037", (1, 33, 1)),
        ("v1.31.4+k3s1", (1, 31, 4)),
        ("latest", None),
        ("1.2.3.4", None),
        ("", None),
    ],
)
def test_parse(text: str, version: Version | None) -> None:
    """Three numbers, whatever a distribution adds; anything else is no version."""
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("registry.example.org:5000/kueue/kueue:v0.19.2", (0, 19, 2)),
        ("registry.example.org/kueue:v0.18.3@sha256:00ff", (0, 18, 3)),
        ("registry.example.org:5000/kueue", None),
        ("kueue@sha256:00ff", None),
        ("kueue:main", None),
    ],
)
def test_image(image: str, version: Version | None) -> None:
    """A tag tells the version; a registry's port, a digest or a branch doesn't."""
    assert image_version(image) == version


@pytest.mark.parametrize(
    ("version", "suffices"),
    [
        ((0, 16, 9), False),
        ((0, 17, 7), False),
        ((0, 17, 8), True),
        ((0, 18, 0), False),
        ((0, 18, 3), False),
        ((0, 18, 4), True),
        ((0, 19, 0), True),
        ((0, 20, 0), True),
        ((1, 0, 0), True),
    ],
)
def test_kueue(version: Version, *, suffices: bool) -> None:
    """Each minor version has its own first good release."""
    assert kueue_suffices(version) is suffices


def test_said() -> None:
    """What is needed, as a sentence has it."""
    assert kueue_needed() == "0.17.8, 0.18.4, or 0.19.0 and later"
