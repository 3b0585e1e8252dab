"""Makes text from a script or a target safe to show anywhere: on a terminal, in a log, a label, a page.

A name with a line feed would break a table, one with an escape sequence would move a terminal's cursor or colour what
follows, and a sign that turns the direction of writing would show another name than the one that was meant.
"""


def printable(text: str) -> str:
    r"""The text with control characters and other invisible ones written as Python does: `\n`, `\x1b`, `\u202e`."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else _escaped(sign) for sign in text)


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")
