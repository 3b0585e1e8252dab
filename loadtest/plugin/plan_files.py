"""Which files a plan needs wherever it is played: the plan, the scripts beside it, and what its feeders read.

Scripts are found among what this process has imported for the plan. What a script opens without a feeder is not known
here; such a file has to be on every machine.
"""

import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.run_config import RunConfig
from loadtest.feeders import files_in_use
from loadtest.fleet.greeting import PlanFiles, plan_files_of

_OURS = Path(__file__).parents[1]
_LIBRARIES = tuple(
    Path(path)
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
    if (path := sysconfig.get_path(name))
)


def plan_files(config: RunConfig) -> PlanFiles:
    """What workers on other machines need of a checked plan. Raises `ConfigError` naming what they cannot be sent.

    A shipped plan needs nothing: its scripts are part of every installation. A run that is gone on with may have lost
    its plan's file; the plan itself is in its folder.
    """
    if config.plan_file is None or not config.plan_file.is_file():
        return PlanFiles()
    folder = config.plan_file.resolve().parent
    _check_scripts(config, folder)
    wanted = [*_scripts_in(folder), *files_in_use()]
    try:
        return plan_files_of(config.plan_file, wanted)
    except OSError as error:
        raise ConfigError("plan", f"{error.filename}: cannot be read ({error.strerror})") from error


def modules_of(config: RunConfig) -> list[str]:
    """The modules of the plan's classes, by the names that the plan gives them."""
    return list(dict.fromkeys(scenario.user.partition(":")[0] for scenario in config.plan.scenarios))


def _check_scripts(config: RunConfig, folder: Path) -> None:
    """Workers elsewhere find what lies beside the plan, and what is installed there: no other script."""
    if not config.workers_elsewhere:
        return
    for path in _files_of(modules_of(config)):
        if not path.is_relative_to(folder) and not _is_installed(path):
            raise ConfigError(
                "plan",
                f"{path}: workers on other machines are sent what lies beside the plan: move this script to {folder}",
            )


def _scripts_in(folder: Path) -> list[Path]:
    return sorted(
        {path for path in _files_of(sys.modules) if path.is_relative_to(folder) and not _is_installed(path)}
    )


def _files_of(modules: Iterable[str]) -> list[Path]:
    files = [getattr(sys.modules.get(name), "__file__", None) for name in list(modules)]
    return [Path(file).resolve() for file in files if file and file.endswith(".py")]


def _is_installed(path: Path) -> bool:
    return any(path.is_relative_to(place) for place in (_OURS, *_LIBRARIES))
