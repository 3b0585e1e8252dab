"""Imports a plan's scenario modules, so that their own listeners hear what they would have heard under plain Locust.

They are imported before Locust reads its options, where the plan is known by then. Where it only becomes known later
(a plan chosen in the form, a worker that hears of it when a test starts), the listeners that came with a module are
told what they have missed.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from locust import events
from locust.env import Environment
from locust.event import EventHook

from loadtest.configuration.config_error import ConfigError
from loadtest.configuration.run_config import RunConfig
from loadtest.configuration.scenario_classes import scenario_classes
from loadtest.plan.plan_error import PlanError
from loadtest.plan.plan_file import Plan


def import_early(name: str | None, parser: Any) -> None:
    """Import the modules of the plan called `name`; what is wrong with it is said by the check, not here."""
    if not name:
        return
    with told(events.init_command_line_parser, parser=parser), contextlib.suppress(ConfigError, PlanError):
        plan = Plan.load(name)
        scenario_classes(plan, RunConfig(plan=plan, plan_name=name).plan_file)


@contextlib.contextmanager
def told(event: EventHook, **what: Any) -> Iterator[None]:
    """Fire an event for the listeners that are added in the with-block, by modules that are imported in it."""
    before = list(event._handlers)
    yield
    for listener in [listener for listener in event._handlers if listener not in before]:
        listener(**what)


@contextlib.contextmanager
def told_of_init(environment: Environment) -> Iterator[None]:
    """Call listeners of Locust's `init` that are added in the with-block, after that event."""
    with told(
        environment.events.init, environment=environment, runner=environment.runner, web_ui=environment.web_ui
    ):
        yield


def add_user_classes(environment: Environment, config: RunConfig) -> None:
    """Add the plan's user classes to Locust; a class of another module with the same name is replaced."""
    ours = scenario_classes(config.plan, config.plan_file)
    names = {user_class.__name__ for user_class in ours}
    others = [c for c in environment.user_classes if c.__name__ not in names]
    environment.user_classes[:] = ours + ([] if config.one_run else others)
