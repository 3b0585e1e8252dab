"""What our pages cost: the report of a day with fifty endpoints in Chromium, and the live page at the master.

    python -m benchmarks.pages

The report is rendered, opened from disk and zoomed by keyboard a hundred times; each zoom is timed from the key to
the frame after it. The live page's cost is the CPU time that looking takes, in a process that does nothing else, with
a look each second of a clock that is moved by hand: 20 ms a look are 2 % of a core. Wanted: less than 400 KB, the
first paint within a second, a frame within 50 ms (so that zooming is smooth), and less than 2 % of a core.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import gevent
import msgspec
from locust.env import Environment

from benchmarks.master import endpoint_second
from dashboards.chromium import chromium
from loadtest.cli.children import wait_until
from loadtest.configuration.run_config import RunConfig
from loadtest.fleet.messages import Report, pack_second
from loadtest.plan.plan_file import Plan
from loadtest.plugin.led_run import LedRun
from loadtest.plugin.observe import Observer
from loadtest.plugin.states import LEADER, LeaderState, States
from loadtest.publish import html
from tests.publish.test_html import long_run

ENDPOINTS = 50
LOOKS = 60
ZOOMS = 100
_ZOOM = """
async (key) => {
  const chart = document.querySelector("figure[data-chart=rates] .chart");
  const began = performance.now();
  chart.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  return performance.now() - began;
}
"""


def report_figures(folder: Path) -> tuple[int, float, list[float]]:
    """(bytes, ms until the first paint, ms of each zoom) of a day's report with fifty endpoints."""
    path = folder / "report.html"
    html.write(long_run(), path)
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(path.as_uri())
        paints = "JSON.stringify(performance.getEntriesByType('paint').map((each) => each.startTime))"
        painted = "performance.getEntriesByType('paint').length > 1"
        if not wait_until(
            lambda: bool(page.evaluate(painted)), 30
        ):  # its policy forbids playwright's own waiting
            raise RuntimeError("the report was not painted within 30 s")
        first_ms = min(json.loads(page.evaluate(paints)))
        zooms_ms = [float(page.evaluate(_ZOOM, "+" if number % 10 < 5 else "-")) for number in range(ZOOMS)]
    return path.stat().st_size, first_ms, zooms_ms


def look_cost_s(folder: Path) -> float:
    """CPU seconds of one look at a run with fifty endpoints, of which a second more is known each time."""
    config = RunConfig(plan=Plan.load("day"), plan_name="day", folder=str(folder))
    environment = Environment(host="http://127.0.0.1:1")
    run = LedRun(
        environment,
        environment.create_local_runner(),
        States("leader", LeaderState.CHECKED, LEADER),
        config,
        [],
    )
    now_s = [0.0]
    observer = Observer(lambda: run, lambda _: False, lambda: now_s[0])
    observer.follow(run)
    variants = [endpoint_second(ENDPOINTS, seed) for seed in range(8)]
    spent_s = 0.0
    for index in range(LOOKS):
        second = variants[index % len(variants)]
        second.index = index
        report = Report(run.info.id, index, [pack_second(second)], 1, 0, 0.4, 0.0)
        run.coordinator.merge.fold("worker", report)
        gevent.sleep(0)
        now_s[0] = float(index)
        began_s = time.process_time()
        msgspec.json.encode(observer.view(run.info.id, float(index - 1)))
        spent_s += time.process_time() - began_s
    run.coordinator.abort("the benchmark is over")
    return spent_s / LOOKS


def share(values: Sequence[float], quantile: float) -> float:
    """A quantile of a few values."""
    return sorted(values)[min(len(values) - 1, int(quantile * len(values)))]


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as name:
        size, first_ms, zooms_ms = report_figures(Path(name))
        print(
            f"report of a day, {ENDPOINTS} endpoints: {size / 1000:.0f} KB, first paint after {first_ms:.0f} ms"
        )
        print(
            f"a zoom: {statistics.median(zooms_ms):.0f} ms (median), {share(zooms_ms, 0.95):.0f} ms (95 of 100)"
        )
        cost_s = look_cost_s(Path(name) / "run")
        print(f"live page: {cost_s * 1000:.1f} ms of CPU a look, {cost_s:.2%} of a core at one look a second")


if __name__ == "__main__":
    main()
