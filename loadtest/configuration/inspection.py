"""Looks at a plan's classes in a process of its own: `python -m loadtest.configuration.inspection`.

`singlesday` must not import Locust, which patches `ssl` and `subprocess` under whoever has imported them, nor a
script of somebody else's, which may do anything. The configuration is on standard input, what was found on the last
line of standard output; whatever the script itself prints goes to standard error.

The sample shop's own classes, played at its own service, need none of that: nothing about them is to be found out.
"""

import os
import subprocess
import sys
from contextlib import redirect_stdout

import msgspec
from msgspec import Struct

from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.run_config import RunConfig
from loadtest.entry_points import entry_points_read_once

TIMEOUT_S = 60.0
SHOPS_OWN = frozenset(
    f"loadtest.scenarios.{name}"
    for name in (
        "assistant:Assistant",
        "day:Browse",
        "day:Cart",
        "day:Checkout",
        "day:Payment",
        "day:Status",
        "day:SubmitAgain",
        "logistics:Parcel",
        "shop:HotSku",
        "shop:OrderOnly",
        "shop:OrderStatus",
        "shop:ProductPage",
        "shop:RegionalOrder",
    )
)
"""Our classes that a plan can name."""


class Found(Struct, frozen=True):
    """The hosts of the plan's classes by scenario, or what is wrong with one of them."""

    hosts: dict[str, str] = {}
    field: str = ""
    said: str = ""
    value: str = ""
    expected: str = ""


def inspect_apart(config: RunConfig) -> dict[str, str]:
    """The hosts that the plan's classes name, found by another process. Raises `ConfigError`."""
    if is_known(config):
        return {}
    command = [sys.executable, "-m", "loadtest.configuration.inspection"]
    try:
        ended = subprocess.run(  # noqa: S603 - our own program, no shell
            command, input=config.to_json(), capture_output=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(
            "plan", f"{config.plan_name}: expected modules that can be imported within {TIMEOUT_S:.0f} s"
        ) from None
    lines = ended.stdout.splitlines()
    if ended.returncode or not lines:
        said = ended.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"code {ended.returncode}"]
        raise ConfigError(
            "plan", f"{config.plan_name}: its modules end the process that imports them: {said[0]}"
        )
    found = msgspec.json.decode(lines[-1], type=Found)
    if found.said:
        raise ConfigError(found.field, found.said, value=found.value, expected=found.expected)
    return found.hosts


def is_known(config: RunConfig) -> bool:
    """Whether a run plays only our own classes, whole, at the service that it starts, not at their own hosts."""
    plan, file = config.plan, config.plan_file
    return (
        config.conducted
        and config.needs_service
        and not (config.tags or config.exclude_tags or config.left_out)
        and all(scenario.user in SHOPS_OWN and scenario.feeder is None for scenario in plan.scenarios)
        and not (file is not None and (file.parent / "loadtest").exists())  # modules beside a plan come first
    )


def main() -> None:
    """Print what was found as JSON."""
    config = RunConfig.from_json(sys.stdin.buffer.read())
    with redirect_stdout(sys.stderr), entry_points_read_once():
        from loadtest.configuration.scenario_classes import check_scenarios  # noqa: PLC0415 - after the redirection

        try:
            found = Found(hosts=check_scenarios(config))
        except ConfigError as error:
            found = Found(field=error.field, said=str(error), value=error.value, expected=error.expected)
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")
    sys.stdout.flush()
    os._exit(0)  # whatever threads the script has started


if __name__ == "__main__":
    main()
