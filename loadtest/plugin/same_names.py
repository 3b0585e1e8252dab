"""Arguments of a script that are called as ours or Locust's: they take the name, and it is said where that matters.

`argparse` would raise within the script's listener, which Locust logs and then goes on without the argument. Under
plain Locust only Locust's own names are taken; ours are `--duration`, `--seed` and others that scripts like too.
"""

from argparse import Action
from collections.abc import Collection

from locust.argument_parser import LocustArgumentParser

from loadtest.configuration.asked_plan import OVERRIDES

TAKEN = "the script adds what is an option already; give its arguments other names"
NOT_READ = frozenset(f"--{name.replace('_', '-')}" for name in OVERRIDES)
"""Our options that a process reads nothing of where `singlesday` started it, without the form of the web UI."""


class Names:
    """The names of options before a script adds its own."""

    def __init__(self, parser: LocustArgumentParser) -> None:
        """Have `parser` give a name to whoever asks last."""
        self._parser = parser
        self._before: dict[str, Action] = dict(parser._option_string_actions)
        for part in (parser, parser._optionals, parser._positionals):
            part.conflict_handler = "resolve"

    def taken(self, but: Collection[str] = ()) -> str:
        """A sentence on the names that were taken since, other than `but`; empty if none was."""
        now = self._parser._option_string_actions
        taken = [name for name, action in self._before.items() if now.get(name) is not action]
        listed = ", ".join(name for name in taken if name not in but)
        return f"{listed}: {TAKEN}" if listed else ""
