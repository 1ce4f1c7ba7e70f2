"""The commands that people are told to give next."""


def command(deed: str, project: str, *words: str) -> str:
    """``jobq logs -f -p vision train-x7k2p``; ``project`` is what `cli.selection.Current.option` says."""
    return " ".join(("jobq", f"{deed}{project}", *words))
