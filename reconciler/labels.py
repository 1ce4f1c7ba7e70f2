"""What labels, and the names in them, may be: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/."""

NAME = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
DNS_NAME = rf"{NAME}(\.{NAME})*"
WORD = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
KEY = rf"({DNS_NAME}/)?{WORD}"
VALUE = rf"({WORD})?"

_TAKEN_DOMAINS = ("jobq.io", "kubernetes.io", "k8s.io", "x-k8s.io")
"""Whose labels and annotations decide on rights and quota."""


def is_taken(key: str) -> bool:
    """Whether a label's or annotation's key is one of jobq's or Kubernetes' own."""
    domain = key.rpartition("/")[0]
    return any(domain == own or domain.endswith(f".{own}") for own in _TAKEN_DOMAINS)
