"""Makes a plan, its script and its data from the operations of an OpenAPI document, and says what is made up."""

from collections.abc import Sequence

from loadtest.importing.log_plan import Written
from loadtest.importing.openapi import Operation
from loadtest.importing.openapi_script import chain_class, chains, logins_of
from loadtest.importing.short_plan import plan_of_classes


def plan_of_operations(operations: Sequence[Operation], source: str, name: str) -> Written:
    """A plan that plays all of them, but for those that need a login if others need none; those are in the script."""
    taken: set[str] = set()
    found = chains(operations)
    logins = logins_of(operations)
    classes = [chain_class(chain, f"{name}-data", taken, logins) for chain in found]
    waiting = [one.name for one, chain in zip(classes, found, strict=True) if chain.needs_login]
    waiting = waiting if len(waiting) < len(classes) else []
    made_of = f"Made by `singlesday import openapi` of {source}: {len(operations)} operations."
    return plan_of_classes(classes, name, made_of, _notes(operations, waiting, name), waiting)


def _notes(operations: Sequence[Operation], waiting: Sequence[str], name: str) -> list[str]:
    """What is made up, and what is left out; the classes called `waiting` are in no scenario."""
    notes = [
        "bodies and keys are made up from the schemas; the API may still refuse them by rules that no schema has"
    ]
    notes += [
        f"{one.method} {one.called} has no body, since none of {one.body_type} is made up"
        for one in operations
        if one.body_type and not one.bodies
    ]
    notes += [
        f"the files of {one.method} {one.called} are made up: {', '.join(one.file_fields)}"
        for one in operations
        if one.file_fields
    ]
    notes += [
        f"{one.method} {one.called} asks for more than is made: {'; '.join(one.beyond)}"
        for one in operations
        if one.beyond
    ]
    if any(one.needs_login for one in operations):
        notes.append(f"logins are made up: put real ones into {name}-data/logins.csv")
    if waiting:
        notes.append(
            f"left out of the plan, since they need a login: {', '.join(waiting)}; with real logins, give each "
            f'a [[scenario]], for example user = "{name}:{waiting[0]}"'
        )
    return notes
