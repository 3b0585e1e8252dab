"""What a scrape, or a crowd of slow clients, does to everybody else: a paired benchmark of one effect in one run.

    singlesday bench service effects EFFECT [--quartets 12] [--rate 2000] [--folder /dev/shm] [--json FILE]

The load is a real run's: a master and a worker play orders at one rate against the service; the master's page of
metrics is the one that would be scraped. The run's seconds are dealt into blocks (see `benchmarks.paired`), and in
the blocks of B a process that stands for another machine does what is to be judged. A block begins with `guard`
seconds that are not counted, in which what is tried begins or what it left behind ends.

Effects: `scrape` asks service and master for their metrics every 100 ms, as Prometheus asks; `scrape-service` and
`scrape-master` ask one of them. `slow-clients` has 2,000
clients connected that send a byte a second, and come again when the service cuts them off. `departures` has as many
leave at one instant, at the beginning of what is counted.
"""

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks import paired
from benchmarks.paired import Block, Quartet, Record
from benchmarks.service.running import Running, service
from benchmarks.service.scraper import scraping
from benchmarks.service.seconds import SecondLine, added_up, read_seconds, zero_wall_s
from benchmarks.service.slow_clients import slow_clients
from loadtest.cli.children import Child, wait_until
from loadtest.cli.run import free_port, new_token
from loadtest.measure import codec

SLOW_CLIENTS = 2000
RATE = 2000.0
"""About half of what service and generator do together on two cores."""
LEAST_ANSWERED = 0.9
WARM_UP_S = 5
TAIL_S = 8
"""The run goes on after the last block until its seconds have been written down."""
START_TIMEOUT_S = 60


class Scene(NamedTuple):
    """What there is to be tried on."""

    service: Running
    metrics_port: int
    """The master's."""


class Times(NamedTuple):
    """One block, in seconds since 1970."""

    counted_from_s: float
    ends_s: float


Treat = Callable[[Scene, Times], None]


class Effect(NamedTuple):
    """What is tried in the blocks of B, and what it may cost."""

    treat: Treat
    limits: dict[str, float]
    """By metric, the largest good ratio of p99."""
    guard_s: int
    counted_s: int


def sleep_until(wall_s: float) -> None:
    """Sleep until an instant of the wall clock."""
    time.sleep(max(0.0, wall_s - time.time()))


def scrape(addresses: Callable[[Scene], list[tuple[str, int]]]) -> Treat:
    """Have pages asked for every 100 ms."""

    def treat(scene: Scene, times: Times) -> None:
        with scraping(addresses(scene)):
            sleep_until(times.ends_s)

    return treat


def of_service(scene: Scene) -> list[tuple[str, int]]:
    """Where the service's metrics are."""
    admin = urlsplit(scene.service.admin_url)
    return [(admin.hostname or "", admin.port or 0)]


def of_master(scene: Scene) -> list[tuple[str, int]]:
    """Where the master's are."""
    return [("127.0.0.1", scene.metrics_port)]


def of_both(scene: Scene) -> list[tuple[str, int]]:
    """Where Prometheus asks in every run that it watches."""
    return of_service(scene) + of_master(scene)


def have_slow_clients(scene: Scene, times: Times) -> None:
    """Have them connected for the whole block."""
    with slow_clients(scene.service.port, SLOW_CLIENTS):
        sleep_until(times.ends_s)


def have_clients_leave(scene: Scene, times: Times) -> None:
    """Connect them before anything is counted, and have all leave at once as it begins."""
    with slow_clients(scene.service.port, SLOW_CLIENTS):
        sleep_until(times.counted_from_s)


SCRAPE_LIMITS = {"response": 1.05, "dispatch lag": 1.05}
EFFECTS = {
    "scrape": Effect(scrape(of_both), SCRAPE_LIMITS, guard_s=1, counted_s=2),
    "scrape-service": Effect(scrape(of_service), SCRAPE_LIMITS, guard_s=1, counted_s=2),
    "scrape-master": Effect(scrape(of_master), SCRAPE_LIMITS, guard_s=1, counted_s=2),
    "slow-clients": Effect(have_slow_clients, {"response": 1.2}, guard_s=3, counted_s=10),
    "departures": Effect(have_clients_leave, {"response": 1.2}, guard_s=3, counted_s=1),
}


class Plan(NamedTuple):
    """The blocks of a run."""

    effect: Effect
    orders: list[str]
    """Of the quartets: every other one, from the first, is A/A."""

    @property
    def block_s(self) -> int:
        """How long a block is, guard and all."""
        return self.effect.guard_s + self.effect.counted_s

    @property
    def duration_s(self) -> int:
        """How long the run is."""
        return WARM_UP_S + 4 * len(self.orders) * self.block_s + TAIL_S

    def blocks(self) -> Iterator[tuple[int, bool]]:
        """(offset in seconds, whether something is tried) of every block."""
        for number, label in enumerate("".join(self.orders)):
            yield WARM_UP_S + number * self.block_s, label == "B" and is_treated(number // 4)

    def quartets(self, seconds: dict[int, SecondLine]) -> list[Quartet]:
        """The run's seconds as quartets. Raises KeyError for one that is missing."""
        starts = iter(offset_s + self.effect.guard_s for offset_s, _ in self.blocks())
        return [
            Quartet(is_treated(number), [self._block(label, next(starts), seconds) for label in order])
            for number, order in enumerate(self.orders)
        ]

    def _block(self, label: str, from_s: int, seconds: dict[int, SecondLine]) -> Block:
        counted = range(from_s, from_s + self.effect.counted_s)
        return Block(label, added_up([seconds[index] for index in counted]))


def is_treated(quartet: int) -> bool:
    """Whether B is tried in this quartet; the others are A/A."""
    return quartet % 2 == 1


@contextlib.contextmanager
def generator(folder: Path, running: Running, rate: float, duration_s: int) -> Iterator[Scene]:
    """A master and a worker that play orders at a rate; the scene once time zero is known."""
    port, metrics_port = free_port(), free_port()
    locust = [sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("observed_locustfile.py"))]
    master = [*locust, "--master", "--headless", "--master-bind-port", str(port), "--expect-workers", "1"]
    master += ["--peak-tps", f"{rate:g}", "--duration", f"{duration_s}s", "--metrics-port", str(metrics_port)]
    master += ["--host", f"http://127.0.0.1:{running.port}", "--run-dir", str(folder), "--console", "quiet"]
    environment = new_token()
    children = []
    try:
        for name, command in (
            ("master", master),
            ("worker", [*locust, "--worker", "--master-port", str(port)]),
        ):
            log = folder.parent / f"{name}.log"
            children.append(Child(name, command, log=log, environment=environment))
        if not wait_until(lambda: zero_wall_s(folder) is not None, START_TIMEOUT_S):
            raise RuntimeError("the run did not begin:\n" + "\n".join(c.last_lines() for c in children))
        yield Scene(running, metrics_port)
        children[0].process.wait(60)
    finally:
        for child in children:
            child.stop()


def play(plan: Plan, scene: Scene, zero_s: float) -> None:
    """Do in each block what is planned."""
    for offset_s, treated in plan.blocks():
        sleep_until(zero_s + offset_s)
        counted_from_s = zero_s + offset_s + plan.effect.guard_s
        times = Times(counted_from_s, counted_from_s + plan.effect.counted_s)
        if treated:
            plan.effect.treat(scene, times)


def measure(name: str, plan: Plan, rate: float, base: Path | None) -> Record:
    """One run at `rate` orders a second. Raises RuntimeError if it did not begin, or the rate is too high."""
    with tempfile.TemporaryDirectory(prefix="effects-", dir=base) as data:
        folder = Path(data) / "run"
        with service(Path(data)) as running, generator(folder, running, rate, plan.duration_s) as scene:
            play(plan, scene, zero_wall_s(folder) or 0.0)
        quartets = plan.quartets(read_seconds(folder))
    check_kept_up(quartets, rate * plan.effect.counted_s)
    settings = {"orders_per_s": rate, "guard_s": plan.effect.guard_s, "counted_s": plan.effect.counted_s}
    return Record(name, settings, quartets, plan.effect.limits)


def check_kept_up(quartets: list[Quartet], orders: float) -> None:
    """Raise RuntimeError if a block has many fewer answers than were due: a queue that only grows has no quantile."""
    least = min(codec.decode(block.latencies["response"]).count for q in quartets for block in q.blocks)
    if least < LEAST_ANSWERED * orders:
        raise RuntimeError(
            f"a block has {least:,} answers of {orders:,.0f}: this machine cannot keep up, lower --rate"
        )


def main() -> None:
    """Measure, say what it shows, and write the record if asked."""
    parser = argparse.ArgumentParser(prog="benchmarks.service.effects", description=__doc__)
    parser.add_argument("effect", choices=EFFECTS)
    parser.add_argument("--quartets", type=int, default=12, help="every other one is A/A")
    parser.add_argument("--rate", type=float, default=RATE, help="orders a second")
    parser.add_argument("--counted", type=int, help="seconds of a block that are counted")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="of the blocks' order")
    parser.add_argument(
        "--folder", type=Path, help="where the store is; a memory disk leaves its own pauses out"
    )
    parser.add_argument("--json", type=Path, help="where to write the record, for benchmarks.paired")
    arguments = parser.parse_args()
    if arguments.quartets < 2 * paired.LEAST_QUARTETS:
        parser.error(f"--quartets: expected at least {2 * paired.LEAST_QUARTETS}, got {arguments.quartets}")
    effect = EFFECTS[arguments.effect]
    if arguments.counted:
        effect = effect._replace(counted_s=arguments.counted)
    plan = Plan(effect, paired.plan_orders(arguments.quartets, arguments.seed))
    record = measure(arguments.effect, plan, arguments.rate, arguments.folder)
    if arguments.json:
        paired.write(record, arguments.json)
    print(json.dumps(record.settings))
    print(paired.report(record, 0.99))


if __name__ == "__main__":
    main()
