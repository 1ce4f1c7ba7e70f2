"""Characters that can't be seen, or could be taken for others."""

import re
import unicodedata

_SELECTORS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
_SHAPING = f"\u200c\u200d\u180e\u3000{_SELECTORS}"
"""Invisible alone, but ordinary parts of text: joiners (Persian, Indic scripts, emoji), selectors, the wide space."""
_PRIVATE = "\ue000-\uf8ff"
_HIDDEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls
    "\xa0\u2000-\u200a\u202f\u205f"  # spaces that look like one
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
    "\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U0001fffe\U0001ffff\U000f0000-\U0010ffff"
)
_FLAG = "\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f"
HIDDEN_IN_TEMPLATE = re.compile(f"{_FLAG}|(?P<hidden>[{_HIDDEN}])")
HIDDEN_ANYWHERE = re.compile(f"{_FLAG}|(?P<hidden>[{_HIDDEN}{_PRIVATE}])")
HIDDEN_IN_KEYS = re.compile(f"(?P<hidden>[{_SHAPING}\U000e0020-\U000e007f])")
SPACES = re.compile("[\x85\xa0\u2000-\u200a\u2028\u2029\u202f\u205f]")

_NAMES = {
    0x00: "NULL",
    0x08: "BACKSPACE",
    0x09: "TAB",
    0x0C: "FORM FEED",
    0x0D: "CARRIAGE RETURN",
    0x1B: "ESCAPE",
    0x7F: "DELETE",
    0x85: "NEXT LINE",
}


def visible(character: str) -> str:
    """``U+200B ZERO WIDTH SPACE``."""
    code = ord(character)
    kinds = {"Cc": "control character", "Co": "private use", "Cs": "lone surrogate", "Cn": "not a character"}
    kind = kinds.get(unicodedata.category(character), "")
    return f"U+{code:04X} {_NAMES.get(code) or unicodedata.name(character, kind)}"


def unseen(text: str) -> str:
    """The first character that can't be seen in a name, in words, or ``""``: in other text it may shape what can."""
    found = HIDDEN_IN_KEYS.search(text)
    return visible(found[0]) if found else ""


def hidden(pattern: re.Pattern[str], text: str) -> list[tuple[int, str]]:
    """Offset and character of everything hidden in a text."""
    if text.isascii() and text.isprintable():
        return []
    return [(found.start(), found["hidden"]) for found in pattern.finditer(text) if found["hidden"]]
