"""The user classes that a plan names: found, imported once, and held against what a run needs of them.

A scenario's module is the one that is already imported under its name (Locust imports its `-f` file first), else the
file of that name beside the plan file, else whatever Python finds. A file whose name is no identifier
(`load-test.py`) is found by its path. No file is run twice under two names: its listeners would be called twice.
"""

import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec
from inspect import isclass
from pathlib import Path
from types import ModuleType
from typing import Any

from locust import FastHttpUser as LocustsFastHttpUser
from locust import HttpUser, User

from loadtest import feeders
from loadtest.configuration.config_error import ConfigError, explained_by
from loadtest.configuration.run_config import RunConfig
from loadtest.drive.preflight import UnreachableError, check_http
from loadtest.drive.serving import open_loop, serves_arrivals
from loadtest.drive.user import FastHttpUser
from loadtest.plan.feeder_table import FeederTable
from loadtest.plan.plan_error import suggestion
from loadtest.plan.plan_file import Plan
from loadtest.plan.pool import pool_of

_OUR_LOCUSTFILE = Path(__file__).parent.parent / "locustfile.py"
_logger = logging.getLogger(__name__)
_fed: dict[type[User], tuple[FeederTable, Path | None]] = {}
"""The feeders that plans gave to classes of this process."""
_loaded: dict[tuple[str, Path | None], ModuleType] = {}


def scenario_classes(plan: Plan, plan_file: Path | None) -> list[type[User]]:
    """The class of each scenario, in the plan's order. Raises `ConfigError` naming the plan and the key."""
    where = plan_file or f"plan {plan.name}"
    classes = []
    for number, scenario in enumerate(plan.scenarios):
        found = _class_of(scenario.user, plan_file, f"{where}: scenario[{number}].user")
        if scenario.feeder is not None:
            _feed(found, scenario.feeder, plan_file, f"{where}: scenario[{number}].feeder")
        classes.append(found)
    return classes


def check_scenarios(config: RunConfig) -> dict[str, str]:
    """The own host of each class that has one, by the scenario's `user`.

    Raises `ConfigError` for a class that is not there, or that no arrival could be served by.
    """
    where = config.plan_file or f"plan {config.plan.name}"
    classes = scenario_classes(config.plan, config.plan_file)
    for number, user_class in enumerate(classes):
        spec = config.plan.scenarios[number].user
        _check_class(user_class, config, f"{where}: scenario[{number}].user: {spec}")
        _check_addresses(user_class, config)
    _check_feeders(config, classes, str(where))
    _check_picked(config, [user_class.__name__ for user_class in classes])
    users = [scenario.user for scenario in config.plan.scenarios]
    return {user: user_class.host for user, user_class in zip(users, classes, strict=True) if user_class.host}


def _check_feeders(config: RunConfig, classes: Sequence[type[User]], where: str) -> None:
    """Raise `ConfigError` for a file with too few rows for the workers, or for users that each must have one.

    A user takes its row as it starts or at each arrival: where rows may not be given twice, as many are certain to be
    asked for as there are users, or arrivals where those are fewer.
    """
    plan, pool = config.plan, pool_of(config.plan, config.workers)
    try:
        for number, (scenario, arrivals) in enumerate(
            zip(plan.scenarios, plan.scenario_arrivals(), strict=True)
        ):
            feeder: Any = getattr(classes[number], "feeder", None)
            if scenario.feeder is not None and isinstance(feeder, feeders.Feeder):
                at = f"{where}: scenario[{number}].feeder.{scenario.feeder.source}: "
                users = pool[scenario.user.partition(":")[2]]
                feeder.check_rows(config.workers, min(users, arrivals / config.workers))
        for user_class in classes:
            at = f"{where}: {user_class.__name__}: "
            for feeder in {**vars(sys.modules[user_class.__module__]), **vars(user_class)}.values():
                if isinstance(feeder, feeders.Feeder):
                    feeder.check_rows(config.workers)
    except feeders.FeederError as error:
        raise explained_by(error, "plan", at) from error


def tasks_left(holder: Any, tags: Iterable[str], exclude_tags: Iterable[str]) -> list[Any]:
    """The tasks of a user class or task set that are left by Locust's `--tags` and `--exclude-tags`.

    A nested task set is left while any of its own tasks is.
    """
    wanted, unwanted = set(tags), set(exclude_tags)

    def is_left(task: Any) -> bool:
        if hasattr(task, "tasks"):
            return bool(tasks_left(task, wanted, unwanted)) or type(task).__name__ == "MarkovTaskSetMeta"
        own: set[str] = getattr(task, "locust_tag_set", set())
        return (not wanted or bool(own & wanted)) and not own & unwanted

    return [task for task in holder.tasks if is_left(task)]


def _class_of(user: str, plan_file: Path | None, where: str) -> type[User]:
    name, _, class_name = user.partition(":")
    module = _module(name, class_name, plan_file, where)
    found = getattr(module, class_name, None)
    if isclass(found) and issubclass(found, User):
        _serve_arrivals(found)
        return found
    there = [
        name for name, value in vars(module).items() if isclass(value) and issubclass(value, User) and name
    ]
    near = suggestion(class_name, there)
    raise ConfigError(
        "plan",
        f"{where}: expected a Locust user class, but {module.__file__ or name} has no {class_name}{near}",
        value=user,
        expected="a Locust user class",
    )


def _serve_arrivals(user_class: type[User]) -> None:
    """A class that a plan names serves the plan's arrivals, whatever its own `wait_time`: it sets no pace."""
    if not serves_arrivals(user_class):
        _logger.info("%s serves the plan's arrivals; its own wait_time is not used", user_class.__name__)
        user_class.wait_time = open_loop()


def _feed(user_class: Any, table: FeederTable, plan_file: Path | None, where: str) -> None:
    """Give a class the feeder that the plan asks for, once; a file is read again only for another table."""
    if _fed.get(user_class) == (table, plan_file):
        return
    try:
        if table.generator is not None:
            user_class.feeder = feeders.generator(_function(table.generator, plan_file, f"{where}.generator"))
        else:
            user_class.feeder = feeders.planned(table, plan_file.parent if plan_file else Path())
    except feeders.FeederError as error:
        raise explained_by(error, "plan", f"{where}: ") from error
    _fed[user_class] = (table, plan_file)


def _function(written: str, plan_file: Path | None, where: str) -> Any:
    """The function that `module:function` names. Raises `ConfigError`."""
    name, colon, attribute = written.partition(":")
    if not colon or not name or not attribute.isidentifier():
        raise ConfigError("plan", f'{where}: expected "module:function", got "{written}"', value=written)
    module = _module(name, attribute, plan_file, where)
    found = getattr(module, attribute, None)
    if not callable(found):
        near = suggestion(attribute, [each for each, value in vars(module).items() if callable(value)])
        raise ConfigError(
            "plan",
            f"{where}: expected a function, but {module.__file__ or name} has no {attribute}{near}",
            value=written,
        )
    return found


def _module(name: str, class_name: str, plan_file: Path | None, where: str) -> ModuleType:
    key = (name, plan_file)
    if key not in _loaded:
        imported = sys.modules.get(name)
        if imported is not None and hasattr(imported, class_name):
            return imported
        _loaded[key] = _import(name, plan_file, where)
    return _loaded[key]


def _import(name: str, plan_file: Path | None, where: str) -> ModuleType:
    try:
        _leave_the_name_to_scripts()
        spec = _beside(name, plan_file) or _on_the_path(name)
        return _same_file(spec) or _run(spec)
    except ConfigError:
        raise
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and error.name in _and_parents(name):
            raise _not_found(name, plan_file, where) from None
        raise _broken(name, where, error) from error
    except (Exception, SystemExit) as error:
        raise _broken(name, where, error) from error


def _leave_the_name_to_scripts() -> None:
    """Keep our own `locustfile`, which Locust has imported as that, by its full name: most scripts are called so."""
    ours = sys.modules.get("locustfile")
    if ours is not None and ours.__file__ and Path(ours.__file__).samefile(_OUR_LOCUSTFILE):
        sys.modules["loadtest.locustfile"] = sys.modules.pop("locustfile")


def _beside(name: str, plan_file: Path | None) -> ModuleSpec | None:
    if plan_file is None:
        return None
    path = plan_file.parent.absolute().joinpath(*name.split(".")).with_suffix(".py")
    if not path.is_file():
        return None
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # for what the script imports from beside itself
    return importlib.util.spec_from_file_location(name, path)


def _on_the_path(name: str) -> ModuleSpec:
    """Raises `ModuleNotFoundError`."""
    imported = sys.modules.get(name)
    spec = imported.__spec__ if imported is not None else importlib.util.find_spec(name)
    path = Path(f"{name}.py").absolute()
    if spec is None and path.is_file():
        spec = importlib.util.spec_from_file_location(name, path)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return spec


def _same_file(spec: ModuleSpec) -> ModuleType | None:
    """The module that was made of the same file, under whichever name."""
    if spec.origin is None or not Path(spec.origin).is_file():
        return None
    name = Path(spec.origin).name
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        # A `Path` for each of a thousand modules would take a hundredth of a second.
        if file is not None and str(file).rpartition(os.sep)[2] == name and Path(file).samefile(spec.origin):
            return module
    return None


def _run(spec: ModuleSpec) -> ModuleType:
    if spec.name in sys.modules or spec.loader is None:
        spec = _under_a_name_of_its_own(spec)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)  # type: ignore[union-attr]  # a spec of a file has one
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module


def _under_a_name_of_its_own(spec: ModuleSpec) -> ModuleSpec:
    """The spec of a script whose name is another module's; with a loader of its own, since each serves one name."""
    path = spec.origin if spec.has_location else None
    spec = importlib.util.spec_from_file_location(f"scenario {spec.name}", path) or spec
    if spec.loader is None:
        raise ImportError(f"{spec.name} is a folder, not a script")
    return spec


def _and_parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[: number + 1]) for number in range(len(parts))]


def _not_found(name: str, plan_file: Path | None, where: str) -> ConfigError:
    folder = plan_file.parent if plan_file is not None else Path()
    near = suggestion(name, sorted(path.stem for path in folder.glob("*.py")))
    beside = f"beside {plan_file} or " if plan_file is not None else ""
    return ConfigError(
        "plan",
        f"{where}: expected a module that can be imported, but there is no {name}{near}: looked {beside}"
        f"on Python's path from {Path.cwd()}",
        value=name,
        expected="a module that can be imported",
    )


def _broken(name: str, where: str, error: BaseException) -> ConfigError:
    return ConfigError(
        "plan",
        f"{where}: expected a module that can be imported, but {name} raised {type(error).__name__}: {error}",
        value=name,
        expected="a module that can be imported",
    )


def _check_class(user_class: type[User], config: RunConfig, where: str) -> None:
    if user_class.abstract:
        raise ConfigError(
            "plan",
            f"{where}: expected a class that can be started, but it is abstract (abstract = True): name one "
            "derived from it",
            value=user_class.__name__,
        )
    if not user_class.tasks:
        raise ConfigError(
            "plan", f"{where}: expected at least one @task in the class", value=user_class.__name__
        )
    if not tasks_left(user_class, config.tags, config.exclude_tags):
        given = {"tags": config.tags, "exclude_tags": config.exclude_tags}
        flags = " and ".join(f"{config.named(name)} {' '.join(tags)}" for name, tags in given.items() if tags)
        raise ConfigError(
            "tags",
            f"{where}: expected at least one task of the class that {flags} selects, got none",
            value=user_class.__name__,
        )


def _check_addresses(user_class: type[User], config: RunConfig) -> None:
    """Raise `ConfigError` where a class with an HTTP client has an address that is not HTTP."""
    if not issubclass(user_class, HttpUser | LocustsFastHttpUser | FastHttpUser):
        return
    for address in config.targets or ([user_class.host] if user_class.host else []):
        try:
            check_http(address)
        except UnreachableError as error:
            raise explained_by(error, "targets", f"{config.named('targets')}: ") from error


def _check_picked(config: RunConfig, needed: Sequence[str]) -> None:
    missing = [name for name in needed if name in config.left_out]
    if missing:
        raise ConfigError(
            "left_out",
            f"{config.named('left_out')}: expected all classes that plan {config.plan.name} plays "
            f"({', '.join(needed)}), but {', '.join(missing)} is not picked; the plan decides what is played",
            value=", ".join(config.left_out),
        )
