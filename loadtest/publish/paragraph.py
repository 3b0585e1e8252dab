"""Sentences on a terminal: wrapped between words to its width. In a log every sentence stays one line."""

from rich.console import Console
from rich.text import Text

_SEAMS = "/?&=,;:)"
"""After these a word that is longer than a line may be broken."""


def print_paragraph(console: Console, text: Text | str, *, hang: int = 0, style: str = "") -> None:
    """Print a sentence; on a terminal in as many lines as it needs, those after the first indented by `hang`.

    Lines that it has already stay lines of their own.
    """
    said = Text(text, style) if isinstance(text, str) else text
    for part in said.split("\n", allow_blank=True):
        lines = wrapped(part, max(console.width - hang, 20)) if console.is_terminal else [part]
        for number, line in enumerate(lines):
            console.print(Text(" " * hang if number else "").append_text(line), soft_wrap=True)


def wrapped(text: Text, width: int) -> list[Text]:
    """A text in lines of at most `width` characters, broken between words; a longer word after one of `_SEAMS`."""
    begins, ends = 0, []
    while len(text) - begins > width:
        part = text.plain[begins : begins + width + 1]
        seam = max(part.rfind(sign, 1, width) + 1 for sign in _SEAMS)
        space = part.rfind(" ", len(part) - len(part.lstrip()), width + 1)
        begins += space + 1 if space > 0 else seam or width
        ends.append(begins)
    lines = list(text.divide(ends))
    for line in lines:
        line.rstrip()
    return lines
