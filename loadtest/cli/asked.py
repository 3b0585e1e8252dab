"""The configuration that a command line of `singlesday` asks for."""

from typing import Any

import typer

from loadtest.cli.cores import divide_machine, usable_cores
from loadtest.cli.place import place_of
from loadtest.configuration.asked_plan import OVERRIDES, asked_plan
from loadtest.configuration.auditor import with_plans_auditor
from loadtest.configuration.run_config import CHECKPOINT_S, RunConfig, Source
from loadtest.plan.overrides import above_0_s
from loadtest.plan.plan_file import shipped_plans

AUTO = "auto"
MOST_SERVICE_WORKERS = 4
"""Unless more are asked for: they share a database that one of them writes at a time."""
FIELDS = {
    "plan": "plan",
    **{name: name for name in OVERRIDES},
    "workers": "workers",
    "expect_workers": "workers_elsewhere",
    "min_workers": "min_workers",
    "bind": "bind",
    "service_workers": "service_workers",
    "store": "store",
    "auditor": "auditor",
    "target": "targets",
    "slo": "objectives",
    "allow_host": "allow_hosts",
    "out": "out",
    "service_metrics": "service_metrics",
    "metrics_port": "metrics_port",
    "remote_write": "remote_write",
    "csv": "csv",
    "checkpoint": "checkpoint_s",
    "web": "web",
    "web_port": "web_port",
    "quiet": "console",
    "json_lines": "console",
}
"""Parameters of the commands, and the fields of `RunConfig` that they become."""
_AS_GIVEN = (
    "auditor",
    "store",
    "metrics_port",
    "remote_write",
    "service_metrics",
    "min_workers",
    "csv",
    "web",
    "web_port",
)


def asked_run(context: typer.Context, plan_name: str, **given: Any) -> RunConfig:
    """What the parameters of a command ask for; `given` are those that it sets itself. Raises `ConfigError`."""
    given = context.params | given
    peak = given.get("peak_tps")
    overrides = {
        name: str(given[name]) for name in OVERRIDES if given.get(name) is not None and given[name] != AUTO
    }
    targets = list(given.get("target") or [])
    elsewhere = given.get("expect_workers") or 0
    here = given.get("workers") or (0 if elsewhere else default_workers())
    place = place_of(given.get("bind") or "127.0.0.1", "--bind")
    config = RunConfig(
        plan=asked_plan(plan_name, overrides),
        plan_name=plan_name,
        overrides=overrides,
        # Unasked, neither a plan of somebody's own is resized nor an address of somebody's own probed.
        auto_peak=peak == AUTO or (peak is None and plan_name in shipped_plans() and not targets),
        objectives=list(given.get("slo") or []),
        targets=targets,
        allow_hosts=list(given.get("allow_host") or []),
        workers=here + elsewhere,
        workers_elsewhere=elsewhere,
        service_workers=given.get("service_workers") or default_service_workers(here),
        bind=place.host,
        control_port=place.port if elsewhere else 0,
        out=str(given["out"]),
        checkpoint_s=above_0_s(given.get("checkpoint", f"{CHECKPOINT_S:g}s"), "--checkpoint"),
        console="quiet" if given.get("quiet") else "json" if given.get("json_lines") else "auto",
        conducted=True,
        sources=sources_of(context),
    )
    config = config.but(**{name: given[name] for name in _AS_GIVEN if name in given})
    return with_plans_auditor(config) if "auditor" in given and not config.web else config


def sources_of(context: typer.Context) -> dict[str, Source]:
    """Where each value that is not a default came from, and what the target's flag is called here."""
    found = {"targets": Source("flag", "--target")}
    for parameter in context.command.params:
        name, field = parameter.name or "", FIELDS.get(parameter.name or "")
        source = getattr(context.get_parameter_source(name), "name", "")
        if field is None:
            continue
        if source == "COMMANDLINE":
            named = parameter.opts[-1] if parameter.opts[-1].startswith("-") else name.upper()
            found[field] = Source("flag", named)
        elif source == "ENVIRONMENT":
            found[field] = Source("environment", str(parameter.envvar))
    return found


def default_workers() -> int:
    """One generator for every two cores that may be used: the service needs the others."""
    return max(1, usable_cores() // 2)


def default_service_workers(generators: int) -> int:
    """One for each core that the service runs on beside so many generators; each keeps a core busy at most."""
    cores = len(divide_machine(generators).service) or usable_cores()
    return min(cores, MOST_SERVICE_WORKERS)
