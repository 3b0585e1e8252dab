"""Looks at a plan's classes in a process of its own: `python -m loadtest.configuration.inspection`.

`singlesday` must not import Locust, which patches `ssl` and `subprocess` under whoever has imported them, nor a
script of somebody else's, which may do anything. The configuration is on standard input, what was found on the last
line of standard output; whatever the script itself prints goes to standard error.
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


class Found(Struct, frozen=True):
    """The hosts of the plan's classes by scenario, or what is wrong with one of them."""

    hosts: dict[str, str] = {}
    field: str = ""
    said: str = ""
    value: str = ""
    expected: str = ""


def inspect_apart(config: RunConfig) -> dict[str, str]:
    """The hosts that the plan's classes name, found by another process. Raises `ConfigError`."""
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
