"""Completion in zsh, where Typer's own falls short: the first TAB of a shell, and apostrophes in help."""

from typing import Any

from typer import _completion_classes, _completion_shared

_AUTOLOADED = """
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then %(complete_func)s "$@"; fi
"""
"""Zsh loads the script when TAB is first pressed, to have it answer, and Typer's only makes itself known then."""
_SCRIPT = _completion_shared.COMPLETION_SCRIPT_ZSH + _AUTOLOADED


class Zsh(_completion_classes.ZshComplete):
    """Typer's, mended."""

    source_template = _SCRIPT

    def format_completion(self, item: Any) -> str:  # noqa: ANN401 - Typer's own type is private
        """As Typer does, which doubles an apostrophe; in zsh it then vanishes."""
        return super().format_completion(item).replace("''", r"'\''")


def mend() -> None:
    """Let Typer use it; what is installed is made of the same script."""
    _completion_shared._completion_scripts["zsh"] = _SCRIPT  # noqa: SLF001 - there is no other way in
    _completion_classes.ZshComplete = Zsh  # type: ignore[misc] # Typer looks its class up there
