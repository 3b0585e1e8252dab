"""A picture the size of a word: when in a run something happened, and how often."""

from collections.abc import Sequence

from markupsafe import Markup

WIDTH_PX, HEIGHT_PX = 120, 16
BARS = 60


def sparkline(per_second: Sequence[tuple[float, int]], end_s: float) -> Markup:
    """Bars of (t_s, count) along a run of `end_s` seconds; nothing where nothing is known."""
    if not per_second or end_s <= 0:
        return Markup("")
    bars = [0] * BARS
    for t_s, count in per_second:
        bars[min(BARS - 1, max(0, int(t_s / end_s * BARS)))] += count
    highest = max(bars) or 1
    each = WIDTH_PX / BARS
    path = "".join(
        f"M{(place + 0.5) * each:g} {HEIGHT_PX}v-{max(1, round(count / highest * HEIGHT_PX))}"
        for place, count in enumerate(bars)
        if count
    )
    label = f"From {min(t for t, _ in per_second):g} s to {max(t for t, _ in per_second):g} s of {end_s:g} s"
    return Markup(
        '<svg class="spark" viewBox="0 0 {} {}" role="img" aria-label="{}"><path d="{}"/></svg>'
    ).format(WIDTH_PX, HEIGHT_PX, label, path)
