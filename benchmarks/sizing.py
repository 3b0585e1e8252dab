"""What peak a machine is given, by how its cores are given out: `python -m benchmarks.sizing [--rounds 3]`.

For each way the probe of `singlesday run singles-day` looks for a peak against a service of its own. Rounds are
interleaved, so that a slow spell hits every way; a row tells full speed, then the peaks that were found.
"""

import argparse
import os
import tempfile

from rich.console import Console

from loadtest.cli.cores import Cores, divide
from loadtest.cli.peak import Sizing
from loadtest.cli.run_session import Session
from loadtest.cli.sizing import probe_service
from loadtest.configuration.run_config import RunConfig
from loadtest.plan.plan_file import Plan

PLAN = "singles-day"
WAYS = {
    "cores shared, 1 service worker": (False, 1),
    "cores divided, 1 service worker": (True, 1),
    "cores shared, 2 service workers": (False, 2),
}
"""Whether each side has cores of its own, and the service's processes."""


def sizing(divided: bool, service_workers: int) -> Sizing | None:
    """What one probe finds. Raises `RunError`."""
    with tempfile.TemporaryDirectory() as folder:
        config = RunConfig(
            plan=Plan.load(PLAN),
            plan_name=PLAN,
            folder=folder,
            service_workers=service_workers,
            auto_peak=True,
        )
        cores = divide(os.sched_getaffinity(0), config.workers) if divided else Cores()
        return probe_service(Session(config, Console(quiet=True), cores=cores))


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    found: dict[str, list[Sizing]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, (divided, service_workers) in WAYS.items():
            probed = sizing(divided, service_workers)
            if probed is not None:
                found[way].append(probed)
                print(f"{way:34}{probed.in_words()}", flush=True)
    print(f"\n{'':34}{'full speed':>12}{'peaks':>20}")
    for way, sizings in found.items():
        full = sorted(one.full_speed_tps for one in sizings)[len(sizings) // 2]
        peaks = " ".join(f"{one.peak_tps:,}" for one in sizings if one.trials)
        print(f"{way:34}{full:>12,.0f}{peaks:>20}")


if __name__ == "__main__":
    main()
