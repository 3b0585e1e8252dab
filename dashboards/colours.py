"""A colour for every name, the same in all panels of a dashboard: a line known in one is known in the next.

A name prefers a colour that depends on nothing but itself; the commonest have one given, the others one by their
checksum. Where two names that stand in one panel prefer the same, the later one takes the next that is free there.
"""

from collections.abc import Collection, Iterable, Mapping
from zlib import crc32

PALETTE = (
    "#2f6fb3", "#16855c", "#d98a1f", "#c43a2f", "#7a5ab5", "#4aa3a2", "#b0577f", "#8a6d3b", "#5f8f2d", "#9aa3ad",
    "#3d4f9e", "#c2660a",
)  # fmt: skip
GIVEN = {
    "planned": 9, "started": 2, "completed": 0, "Singles' Day 2020": 3, "p50": 0, "p90": 1, "p99": 2, "p99.9": 3,
    "p99.99": 4, "mean": 0, "response": 0, "service": 1, "live": 1, "shadow": 0, "POST /orders": 0, "in flight": 0,
    "waiting": 3, "dropped": 3, "lost": 4, "cancelled": 7, "ok": 1, "failed": 3,
}  # fmt: skip
"""Places in the palette. `planned` is grey, as the intention behind what happened."""


def colours(panels: Iterable[Collection[str]]) -> Mapping[str, str]:
    """The colour of each name, given the names that stand together in each panel.

    Two names of one panel share a colour only where more stand together than there are colours.
    """
    beside: dict[str, set[str]] = {}
    for names in panels:
        for name in names:
            beside.setdefault(name, set()).update(names)
    chosen: dict[str, int] = {}
    for name in sorted(beside, key=lambda name: (name not in GIVEN, name)):
        preferred = GIVEN.get(name, crc32(name.encode()) % len(PALETTE))
        taken = {chosen[other] for other in beside[name] if other in chosen}
        turns = ((preferred + turn) % len(PALETTE) for turn in range(len(PALETTE)))
        chosen[name] = next((place for place in turns if place not in taken), preferred)
    return {name: PALETTE[place] for name, place in chosen.items()}
