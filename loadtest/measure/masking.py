"""Takes secrets out of what a report quotes of requests and responses.

A sample of a failed response helps to find the fault, and a report is sent around. So whatever looks like a
secret is replaced before the sample leaves the worker: values of fields with a telling name (JSON, forms, query
strings, headers), bearer tokens, JSON web tokens, card numbers, and long runs of characters that no word has.
Better one harmless number masked than one password shown.
"""

import re

MASK = "***"
LOOKED_AT = 4_000
"""Characters of a text that are looked at; a quotation is far shorter."""

_TELLING = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|auth(?:orization)?"
    r"|credential|cookie|session(?:[-_]?id)?|signature|card[-_]?(?:number|no)?|cvv|cvc|iban|pin|otp|ssn"
)
_FIELD = re.compile(
    rf"""([\w.-]*(?:{_TELLING})[\w.-]*["']?\s*[:=]\s*)("(?:[^"\\]|\\.)*"?|'[^']*'?|\w+\s+[^\s,;&"'<>}}]+|[^\s,;&"'<>}}]+)""",
    re.IGNORECASE,
)
_SHAPES = (
    re.compile(r"\b(?:bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE),
    re.compile(r"\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"),
    re.compile(r"\b\d(?:[ -]?\d){12,18}\b"),
    re.compile(r"(?<![\w/+-])(?=[\w/+-]*\d)(?=[\w/+-]*[A-Za-z])[\w+-]{32,}={0,2}"),
    re.compile(r"(?<=//)[^\s/@:]+:[^\s/@]+(?=@)"),
)


def masked(text: str, longest: int) -> str:
    """The beginning of a text, at most `longest` characters, with what looks like a secret replaced by `***`."""
    looked_at = text[:LOOKED_AT]
    looked_at = _FIELD.sub(lambda found: found[1] + _like(found[2]), looked_at)
    for shape in _SHAPES:
        looked_at = shape.sub(MASK, looked_at)
    return looked_at[:longest]


def _like(value: str) -> str:
    """A mask with the quotes of what it replaces."""
    quote = value[0] if value[0] in "\"'" else ""
    return f"{quote}{MASK}{quote}"
