"""Strings that tools trip over, by family: what nobody can see is refused, everything else is text and nothing more.

Written in escapes wherever a reader of this file couldn't see what stands there.
"""

from collections.abc import Iterator, Mapping, Sequence

_WORDS = (
    "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF", "y", "Y", "n", "N", "true", "True",
    "TRUE", "false", "False", "FALSE", "tRuE", "null", "Null", "NULL", "nil", "none", "None", "undefined", "NaN", "nan",
    ".nan", ".NaN", "inf", ".inf", "-.inf", "+.inf", ".INF", "Infinity", "-Infinity", "~", "", "=", "<<", "Norway",
    "default", "constructor", "__proto__", "__class__", "toString", "self", "this", "root", "admin", "con", "NUL",
)  # fmt: skip
_NUMBERS = (
    "0", "-0", "+0", "00", "007", "1", "-1", "+1", "12", "012", "0o14", "0o9", "0x1F", "0X1f", "0b101", "1_000", "1__0",
    "1.", ".5", "-.5", "1.0", "1.10", "12.0", "1e3", "1E3", "1e-3", "1e+400", "1.5e3", "-1e3", "9007199254740992",
    "9007199254740993", "-9007199254740993", "18446744073709551616", "9" * 300, "0." + "3" * 60, "1,000", "1 000",
    "1/2",
    "12:30", "1:30:00", "190:20:30", "685_230.15", "0.1", "3.14159", "$1.00", "50%", "8Gi", "500m", "1d12h", "1-00",
    "0x", "0b", "-", "+", ".", "..", "1.2.3", "1.2.3.4", "::1", "fe80::1%eth0", "10.0.0.0/8", "\u0661\u0662\u0663",
    "\uff11\uff12", "\u00bd", "\u2167", "\u00b2",
)  # fmt: skip
_DATES = (
    "2027-03-31", "2027-02-30", "2027-3-1", "0000-00-00", "9999-12-31", "10000-01-01", "2027-03-31T10:00:00",
    "2027-03-31t10:00:00Z", "2027-03-31 10:00:00", "2027-03-31 10:00:00.5 +02:00", "31.03.2027", "03/31/2027",
    "20270331", "2027-W13-3", "2027-090", "1806745200", "10:00", "24:00:00", "tomorrow", "P1DT12H",
)  # fmt: skip
_YAML = (
    "a\nkind: ClusterRoleBinding", "a\n  namespace: kube-system", "a\n---\nkind: Secret", "---", "--- a", "...",
    "a\n...\n", "---\n---\n---", "\n\nroleRef:\n  name: cluster-admin", '"\nkind: ClusterRole\nx: "',
    "'\nkind: ClusterRole\nx: '", "x\"\nrules: ['*']", "}\nkind: Secret", "]\n- kind: Secret", "a: b", "a:", ":", ": a",
    "a: b: c", ":a", "a :b", "- a", "-", "- - a", "-a", "? a", "?", "? a\n: b", "!", "!!", "!a b", "!!str 1",
    "!!int 'x'",
    "!!binary aGVsbG8=", "!!python/object/apply:os.system ['id']", "!!python/name:os.system", "!!python", "!!set {a}",
    "!!merge <<", "!<tag:yaml.org,2002:str> a", "!ruby/object:Gem::Requirement", "!!java.net.URL [a]", "&a b", "&a",
    "&",
    "*a", "*", "**", "&a [*a]", "<<: *a", "<<: {a: b}", "%YAML 1.1", "%TAG ! tag:x,2000:", "%", "@a", "`a`", "|", "|-",
    "|2", "| a", ">", ">-", ">9", "> a", "#", "# a", "a # b", "a #", "a#b", "{", "}", "{}", "{a}", "{a: b}",
    "{a: {b: c}}",
    "[", "]", "[]", "[a", "[a]", "[[a]]", "[a: b]", ",", ", a", "a, b", "a]", "a}", "\t", "\ta", "a\t", "a\tb",
    "a\t# b", " ", "  ", " a", "a ", " a ", "\n", "\n\n", "\na", "a\n", "a\n\n", "a\n b", "a\n  b\n c", "a\n\tb",
    "a\n\n\nb", "a\n#b", "a: |\n  b", "key: [1, 2]\nother: {x: y}", "\\n", "a\\nb: c", "apiVersion: v1",
    "kind: Project\nspec:\n  active: false", "spec:", "$schema: x", "!include /etc/passwd", "!vault |",
)  # fmt: skip
_TEMPLATES = (
    "{{ 7*7 }}", "{{7*7}}", "{{", "}}", "{{ }}", "{{ project }}", "{{ project.name }}", "{{ settings.cluster }}",
    "{{ self }}", "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ config.items() }}", "{{ lipsum.__globals__ }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}", "{{ 'a' * 10**9 }}", "{{ range(10**9) | list }}",
    "{{ undefined }}", "{{ undefined.x }}", "{{- a -}}", "{%", "%}", "{% %}", "{% if true %}", "{% endif %}",
    "{% raw %}",
    "{% endraw %}", "{% raw %}{{ 1 }}{% endraw %}", "{% for x in range(9) %}x{% endfor %}",
    "{% include '/etc/passwd' %}",
    "{% set x = 1 %}", "{% block a %}{% endblock %}", "{% extends 'a' %}", "{% macro m() %}{% endmacro %}", "{#", "#}",
    "{# comment #}", "{{ '{{' }}", '{{ "}}" }}', "{{ a | safe }}", "{{ a|attr('b') }}", "${7*7}", "#{7*7}",
    "<%= 7*7 %>",
    "<% 7 %>", "@(7*7)", "[[7*7]]", "{7*7}", "%(a)s", "%s", "%d", "%n", "%999999999d", "{0}", "{}", "{a}",
    "{0.__class__}",
    "{{ .Values.a }}", "{{- range . }}", '{{ include "a" . }}', "$var", "${VAR}", "${VAR:-a}", "$$", "$$(A)", "$(A)",
)  # fmt: skip
_SHELL = (
    "$(id)", "`id`", "$(id", "; id", "&& id", "|| id", "| id", "& id", "> /etc/passwd", "< /etc/passwd", "a; rm -rf /",
    "$(sleep 60)", "`sleep 60`", "$((1+1))", "${IFS}", "a\nid", "!!", "!$", "*", "?", "[a-z]", "~root", "~/x", "-rf",
    "--help", "--", "-", "--output=/x", "-o json", "-v9", "@file", "#!/bin/sh", "() { :; }; id", ":(){ :|:& };:",
    "a=b", "A=b id", "exec 3<>/dev/tcp/127.0.0.1/1", "%PATH%", "cmd.exe /c dir", "& dir &", "^", "\\", "\\\\", "\\ a",
    "a\\",
    "\\x00", "\\0", "\\u0000", "\\U0001F600", "\\e[31m", "\\033[31m", "../../etc/passwd", "/etc/passwd", "..\\..\\a",
    "//",
    "C:\\a", "\\\\host\\a", "file:///etc/passwd", "http://127.0.0.1/", "a/../b", "./a", "/", "a/b", "a//b", "a/./b",
)  # fmt: skip
_QUOTES = (
    "'", "''", "'''", '"', '""', '"""', "`", "``", "'\"", "\"'", "'a", "a'", '"a', 'a"', "'a'", '"a"', "it's", 'a"b',
    "a''b",
    "\\'", '\\"', "'\\''", "\u2018a\u2019", "\u201ca\u201d", "\u00aba\u00bb", "\u201ea\u201c", "\uff02a\uff02",
    "\u2032",
    "'; DROP TABLE a; --", "' OR '1'='1", '" OR ""="', "1; SELECT 1", "<a>", "</a>", "<script>alert(1)</script>",
    "<!-- a -->", "<![CDATA[a]]>", "<?xml a?>", "&amp;", "&#0;", "&lt;a&gt;", "&#x202e;", "<img src=x onerror=a>",
    "javascript:a", '{"a": "b"}', '{"a":', '[1, "a"]', '{"kind": "ClusterRoleBinding"}', '","x":"', "\\u0022,x",
    "a,b;c", "=1+1", "=cmd|' /C calc'!A1", "@SUM(1)", "+1+1", "a|b|c", "| a | b |", "[a](b)", "**a**", "[red]a[/red]",
    "[link=file:///]a[/link]", "[/]", "[bold", ":smile:", "\\[a]", "# a\n## b", "```\na\n```",
)  # fmt: skip
_SCRIPTS = (
    "\u00e9", "e\u0301", "\u00df", "\u1e9e", "\u0130", "\u0131", "i\u0307", "\u01c5", "\ufb01", "\u212b", "\u2126",
    "\u017f",
    "\u4e2d\u6587", "\u65e5\u672c\u8a9e", "\ud55c\uad6d\uc5b4", "\u1112\u1161\u11ab", "\u0440\u0443\u0441",
    "\u03b5\u03bb",
    "\u03c2", "\u05e2\u05d1\u05e8\u05d9\u05ea", "\u0627\u0644\u0639\u0631\u0628\u064a\u0629", "a \u05d0 b", "\u0661a",
    "\u05d0: \u05d1", "\u0e44\u0e17\u0e22", "\u0939\u093f\u0928\u094d\u0926\u0940", "\u0915\u094d\u200d\u0937",
    "\u0d15",
    "\u0646\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u1820\u180e\u1820", "\u1820\u180b", "\u3000a\u3000",
    "\U00020000", "\U0001d54f", "\U00012000", "\U00010348", "\uff21\uff22", "\u0430dmin", "p\u0430ypal", "\u2170",
    "\u02bcn", "\u0149", "\u0f73", "\u1f82", "\u2c6d", "\ua64a", "\u16a0", "\u2603", "\u2192", "\u221e", "\u20ac",
    "\ufffd",
    "\u2028".encode("unicode_escape").decode(), "\u00a1", "\u203d", "\u2026", "\u2014", "\u2011", "\u00b7",
)  # fmt: skip
_MARKS = (
    "\u0301", "a\u0301\u0301\u0301", "o\u0308\u0304", "\u0345", "\u20dd", "a\u20dd", "\u0338=", "q\u0307\u0323",
    "q\u0323\u0307",
    "Z" + "\u0300\u0301\u0302\u0303\u0304" * 4 + "A" + "\u0316\u0317\u0318" * 6, "H\u0336e\u0336", "a\u0489",
    "a" + "\u0334" * 100,
    "\u0e01" + "\u0e49" * 30, "\u0321\u0322", "\u1ab0", "\u1dc0a", "\ufe20a\ufe21", "\u3099", "\u309a\u304b",
    "\u064b\u064c",
)  # fmt: skip
_EMOJI = (
    "\U0001f600", "\U0001f44d\U0001f3fd", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u2764\ufe0f", "\u2764\ufe0e",
    "\u2764\ufe0f\u200d\U0001f525", "\U0001f3f3\ufe0f\u200d\U0001f308", "\U0001f1e9\U0001f1ea", "\U0001f1e9",
    "1\ufe0f\u20e3",
    "#\ufe0f\u20e3", "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "\U0001f9d1\u200d\U0001f4bb",
    "\U0001f3f4\u200d\u2620\ufe0f", "\u200d", "\ufe0f", "\u200c", "\U0001f1e9\U0001f1ea\U0001f1eb", "\U0001f600" * 60,
    "\u2639",
    "\U0001f469\U0001f3fb\u200d\U0001f91d\u200d\U0001f468\U0001f3ff", "\u3297\ufe0f", "\u6f22\U000e0100",
    "\u231a\ufe0e",
)  # fmt: skip
_LONG = (
    "a" * 255, "a " * 127, "\u00e9" * 250, "[" * 250, "{{" * 120, "- " * 120, "a: " * 80, "\\" * 250, '"' * 250,
    "'" * 250,
    "x" * 128 + ": y", "#" * 250, "\U0001f600" * 250, "a/" * 120, "0" * 250, "%s" * 120, "!" * 250,
)  # fmt: skip

_HIDDEN = (
    *(chr(code) for code in (*range(9), 11, 12, *range(14, 32))),
    *(chr(code) for code in range(0x7F, 0xA1)),
    *map(chr, range(0x2000, 0x200C)),
    *map(chr, range(0x200E, 0x2010)),
    *map(chr, range(0x2028, 0x2030)),
    *map(chr, (0x205F, *range(0x2060, 0x2070))),
    "\u00ad", "\u034f", "\u061c", "\u115f", "\u1160", "\u17b4", "\u17b5", "\u3164", "\uffa0", "\ufeff", "\ufff9",
    "\ufffb",
    "\ufffe", "\uffff", "\ufdd0", "\U0001fffe", "\U0001ffff", "\U0010ffff", "\U0001bca0", "\U0001d173", "\U000e0001",
    "\U000e0041", "\U000e007f", "\U000e01f0",
)  # fmt: skip
_PRIVATE = ("\ue000", "\ue001", "\ue002", "\ue0000\ue002", "\ue0010\ue002", "\uf8ff", "\U000f0000", "\U00100000")
_SURROGATES = ("\ud800", "\udbff", "\udc00", "\udfff", "a\ud83d", "\ude00a", "\udcff")
_TRICKS = (
    "\u202eexe.txt", "a\u202e\u2066 // ok\u2069\u2066", "abc\u200bdef", "\ufeffkind: a", "a\ufeff", "kim\u200e",
    "a\u2028b: c",
    "a\u2029---", "a\x85b: c", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b[2J", "a\rb", "\r", "a\r", "a\r\nb",
    "\x00a",
    "a\x00", "a\x08\x08b", "\u00a0", "a\u00a0b", "\u2066a", "\u2067\u05d0\u2069", "\u206aa", "p\u00adassword", "\u2060",
    "\U0001f3f4\U000e0067", "\U000e0067\U000e0062", "a\x0bb", "a\x0cb", "\u180b\u200b", "{{\u200b}}",
)  # fmt: skip

VISIBLE: Mapping[str, Sequence[str]] = {
    "words": _WORDS,
    "numbers": _NUMBERS,
    "dates": _DATES,
    "yaml": _YAML,
    "templates": _TEMPLATES,
    "shell": _SHELL,
    "quotes": _QUOTES,
    "scripts": _SCRIPTS,
    "marks": _MARKS,
    "emoji": _EMOJI,
    "long": _LONG,
}
"""Text, however it looks: quoted, each is a value as good as any."""

UNSEEN: Mapping[str, Sequence[str]] = {
    "hidden": _HIDDEN,
    "private": _PRIVATE,
    "surrogates": _SURROGATES,
    "tricks": _TRICKS,
}
"""Something in each can't be seen, or has no meaning that all readers share: refused wherever it stands."""


def _distinct(families: Mapping[str, Sequence[str]]) -> Iterator[str]:
    return iter(dict.fromkeys(text for family in families.values() for text in family))


ALL_VISIBLE = tuple(_distinct(VISIBLE))
ALL_UNSEEN = tuple(_distinct(UNSEEN))
