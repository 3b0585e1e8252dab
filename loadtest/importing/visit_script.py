"""The visits of a log as a Locust script: a method for each endpoint, a class for each journey, one for the walk."""

from collections.abc import Sequence

from loadtest.importing.script_text import (
    FeederFile,
    ScriptClass,
    class_name,
    endpoint_call,
    file_stem,
    prose,
)
from loadtest.importing.traffic import Endpoint
from loadtest.importing.visits import Journey, JourneyStep, Spread, Visits, Walk

IMPORTS = ("import time", "from random import choice, choices")
VISITOR, WALK = "Visitor", "OtherVisit"
_MOST_NAMED = 4
_LONGEST_WALK = 200


def visit_classes(visits: Visits, endpoints: Sequence[Endpoint], folder: str) -> list[ScriptClass]:
    """The base class of all visitors, then a class for each journey, then the walk's if there is one."""
    asked = {step.endpoint for journey in visits.journeys for step in journey.steps}
    if visits.walk is not None:
        asked |= {name for name in visits.walk.following if name is not None}
    taken: set[str] = set()
    named = {each.name: each for each in endpoints}
    methods = {
        name: file_stem(class_name(each.method, each.template, taken))
        for name, each in named.items()
        if name in asked
    }
    total = sum(journey.visits for journey in visits.journeys) + (visits.walk.visits if visits.walk else 0)
    classes = [_visitor(named, methods, folder)]
    classes += [
        _journey_class(journey, number, journey.visits / total, methods)
        for number, journey in enumerate(visits.journeys, start=1)
    ]
    return classes + ([_walk_class(visits.walk, visits.walk.visits / total, methods)] if visits.walk else [])


def _visitor(named: dict[str, Endpoint], methods: dict[str, str], folder: str) -> ScriptClass:
    lines = [
        f"class {VISITOR}(FastHttpUser):",
        '    """What every visitor can ask for."""',
        "",
        "    abstract = True",
        "    wait_time = open_loop()",
        "",
        "    def pause(self, *seconds):",
        '        """Think, for one of some times that are equally likely."""',
        "        time.sleep(choice(seconds))",
        "",
    ]
    constants: list[str] = []
    files: list[FeederFile] = []
    for name, method in methods.items():
        call = endpoint_call(named[name], method, folder)
        constants += call.constants
        files += call.files
        body = "\n".join(call.body).split("\n")
        lines += [f"    def {method}(self):", *(f"        {line}" for line in body), ""]
    return ScriptClass(VISITOR, "\n".join(lines), tuple(constants), tuple(files))


def _journey_class(journey: Journey, number: int, share: float, methods: dict[str, str]) -> ScriptClass:
    steps = [step.endpoint for step in journey.steps]
    more = f" and {len(steps) - _MOST_NAMED} more" if len(steps) > _MOST_NAMED else ""
    told = f"{share:.1%} of the visits: {', then '.join(steps[:_MOST_NAMED])}{more}."
    body = [line for step in journey.steps for line in _step(step, methods[step.endpoint])]
    name = f"Visit{number}"
    lines = [f"class {name}({VISITOR}):", f'    """{prose(told)}"""', "", "    @task", "    def visit(self):"]
    return ScriptClass(name, "\n".join([*lines, *(f"        {line}" for line in body), ""]), (), ())


def _step(step: JourneyStep, method: str) -> list[str]:
    lines = [_pause(step.pause_s)] if step.pause_s else []
    lines.append(f"self.{method}()")
    if set(step.repeats) == {1}:
        lines += [_pause(step.between_s)] if step.between_s else []
        lines.append(f"self.{method}()")
    elif step.repeats:
        lines.append(f"for _ in range({_chosen(step.repeats)}):")
        lines += [f"    {_pause(step.between_s)}"] if step.between_s else []
        lines.append(f"    self.{method}()")
    return lines


def _pause(seconds: Spread) -> str:
    return f"self.pause({', '.join(map(str, _once(seconds)))})"


def _chosen(values: Spread) -> str:
    once = _once(values)
    return str(once[0]) if len(once) == 1 else f"choice(({', '.join(map(str, once))}))"


def _once(values: Spread) -> Spread:
    """One value where all are equal: it would be chosen from itself."""
    return values[:1] if len(set(values)) == 1 else values


def _walk_class(walk: Walk, share: float, methods: dict[str, str]) -> ScriptClass:
    lines = [
        f"class {WALK}({VISITOR}):",
        f'    """{share:.1%} of the visits, of many orders: each step as often as it followed the one before."""',
        "",
        "    # After a step: (the next, how often, seconds before it). None is the beginning, and the end.",
        "    FOLLOWING = {",
    ]
    for before, some in walk.following.items():
        lines.append(f"        {_quoted(before, methods)}: (")
        lines += [
            f"            ({_quoted(each.endpoint, methods)}, {each.times}, {each.pause_s or (0,)}),"
            for each in some
        ]
        lines.append("        ),")
    lines += [
        "    }",
        "",
        "    @task",
        "    def visit(self):",
        "        step = None",
        f"        for _ in range({_LONGEST_WALK}):",
        "            following = self.FOLLOWING[step]",
        "            ((step, _, seconds),) = choices(following, [often for _, often, _ in following])",
        "            if step is None:",
        "                return",
        "            self.pause(*seconds)",
        "            getattr(self, step)()",
        "",
    ]
    return ScriptClass(WALK, "\n".join(lines), (), ())


def _quoted(name: str | None, methods: dict[str, str]) -> str:
    return "None" if name is None else f'"{methods[name]}"'
