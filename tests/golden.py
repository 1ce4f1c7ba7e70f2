"""Whole outputs, kept in tests/cases: compared as they are; with UPDATE_CASES=1 rewritten, to be reviewed as a diff."""

import os
from pathlib import Path

CASES = Path(__file__).parent / "cases"


def same_as_kept(name: str, text: str) -> None:
    """Compare an output with the file of that name below tests/cases."""
    path = CASES / name
    if os.environ.get("UPDATE_CASES"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"{path} is missing: UPDATE_CASES=1 writes it"
    assert text == path.read_text(encoding="utf-8")
