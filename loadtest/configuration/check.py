"""The one check of a configuration, which every door makes before any traffic.

Whatever can be known to be wrong is said here, as a `ConfigError` that names the value. What the plan's classes are
can only be told by importing them; a door that must not import Locust gives `inspect` a process to do it in.
"""

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from loadtest.configuration.config_error import ConfigError, explained_by
from loadtest.configuration.run_config import SHIPPED_SCENARIOS, RunConfig
from loadtest.drive.errors import HostNotAllowed
from loadtest.drive.preflight import UnreachableError, check_http, check_target
from loadtest.drive.targets import AllowedTargets
from loadtest.fleet.token import TokenError, check_door, token_in
from loadtest.judge.abort import AbortCondition, unless
from loadtest.judge.recovery import FAULT
from loadtest.judge.slo import judgeable
from loadtest.judge.slo_syntax import Slo, SloError, parse
from loadtest.judge.slo_syntax import check as check_objective
from loadtest.measure.ledger import GROWTH_BYTES
from loadtest.plan.allowed_host import allowed_host
from loadtest.plan.duration import format_duration
from loadtest.plan.fault import HOOK, NETWORK, PROCESS, SERVICE, Fault
from loadtest.plan.plan_error import PlanError
from loadtest.plan.plan_file import Plan
from loadtest.plan.target_address import target_address
from loadtest.plan.target_rate import agreed_rate, check_target_rate
from loadtest.publish.receiver import BadReceiverError, Receiver
from loadtest.publish.remote_write import MissingExtraError, WriteRequests
from loadtest.stored_orders import StoreError, check_store, check_written

OF_PARTS = (
    PlanError,
    SloError,
    HostNotAllowed,
    UnreachableError,
    StoreError,
    BadReceiverError,
    MissingExtraError,
    TokenError,
)
"""What the parts of the harness raise for what they cannot use; `explained_by` makes a `ConfigError` of each."""

ARTEFACTS_BYTES = 8 << 20
"""Ample for result.json, its partial successor, the report and the logs of a run of hours."""

Inspect = Callable[[RunConfig], dict[str, str]]
"""Imports the plan's classes and tells their own hosts, by scenario. Raises `ConfigError`."""


def inspect_here(config: RunConfig) -> dict[str, str]:
    """Import the plan's classes into this process, which has Locust in it already."""
    from loadtest.configuration.scenario_classes import check_scenarios  # noqa: PLC0415 - it imports Locust

    return check_scenarios(config)


def check(config: RunConfig, inspect: Inspect = inspect_here) -> RunConfig:
    """The configuration, complete with the hosts that the plan's classes name. Raises `ConfigError`."""
    objectives_of(config)
    abort_conditions_of(config.plan)
    _check_allowed_hosts(config)
    config = config.but(hosts=_own_hosts(inspect(config), config))
    _check_faults(config)
    _check_addresses(config)
    _check_auditing(config)
    _check_publishing(config)
    _check_fleet(config)
    check_out(config)
    return config


def _own_hosts(found: dict[str, str], config: RunConfig) -> dict[str, str]:
    """The classes' own hosts, without those of shipped scenarios where a run starts the order service."""
    return {
        user: host
        for user, host in found.items()
        if not (config.conducted and user.startswith(SHIPPED_SCENARIOS))
    }


def objectives_of(config: RunConfig) -> list[Slo]:
    """What the run is judged by: of the plan's own only what its length allows. Raises `ConfigError`."""
    phases = {phase.name for phase in config.plan.profile().phases}
    try:
        objectives = [parse(expr) for expr in config.plan.slos]
        for slo in objectives:
            _check_played(slo, config, phases)
            check_objective(slo, (), phases)
    except OF_PARTS as error:
        raise explained_by(error, "plan", f"{config.plan_file or config.plan.name}: slo: ") from error
    asked = []
    for expr in config.objectives:
        try:
            asked.append(parse(expr, "flag"))
            _check_played(asked[-1], config, phases)
            check_objective(asked[-1], (), phases)
        except OF_PARTS as error:
            raise explained_by(error, "objectives", f"{config.named('objectives')}: ") from error
    return judgeable(objectives, config.plan.duration_s) + _of_faults(config, phases) + asked


def _check_played(slo: Slo, config: RunConfig, phases: set[str]) -> None:
    """Raise `ConfigError` for an objective about a phase that the plan has, but only after what is played of it."""
    plan = config.plan
    begins_s = {phase.name: phase.from_s * plan.time_scale for phase in plan.curve.profile().phases}
    if slo.phase is not None and slo.phase not in phases and slo.phase in begins_s:
        raise ConfigError(
            "duration",
            f"{config.named('duration')}: expected more than {format_duration(begins_s[slo.phase])}, where phase "
            f"{slo.phase} of `{slo.expr}` begins, got {format_duration(plan.duration_s)}; to play all of the plan in "
            f"less time, set {config.named('time_scale')}",
        )


def _of_faults(config: RunConfig, phases: set[str]) -> list[Slo]:
    """What the plan's faults expect, in the language of objectives. Raises `ConfigError`."""
    found = []
    for fault in config.plan.faults:
        for expr in fault.objectives:
            try:
                found.append(parse(expr, FAULT))
                check_objective(found[-1], (), phases)
            except OF_PARTS as error:
                where = f"{config.plan_file or config.plan.name}: fault {fault.name}: expect: "
                raise explained_by(error, "plan", where) from error
    return found


def abort_conditions_of(plan: Plan) -> list[AbortCondition]:
    """What ends the run before its time. Raises `ConfigError`."""
    try:
        return [unless(expr, plan.abort.after_s) for expr in plan.abort.unless]
    except OF_PARTS as error:
        raise explained_by(error, "plan", f"plan {plan.name}: abort.unless: ") from error


def _check_allowed_hosts(config: RunConfig) -> None:
    listed = [("allow_hosts", config.named("allow_hosts"), host) for host in config.allow_hosts]
    listed += [("plan", f"{config.plan_name}: [targets]", host) for host in config.plan.targets]
    for field, where, host in listed:
        try:
            allowed_host(host, where)
        except OF_PARTS as error:
            raise explained_by(error, field) from error


def _check_addresses(config: RunConfig) -> None:
    if config.needs_service and not config.conducted:
        raise ConfigError(
            "targets",
            f"{config.named('targets')}: expected the address of the service, for example http://127.0.0.1:8080",
        )
    _check_every_class_has_a_host(config)
    if config.targets and config.store is not None:
        raise ConfigError(
            "store",
            f"{config.named('store')}: names the order service's database, so it cannot be given together with "
            f"{config.named('targets')}",
        )
    try:
        allowed = [*config.allowed, *AllowedTargets.from_environment().listed]
    except OF_PARTS as error:
        raise explained_by(error, "allow_hosts") from error
    if config.store:
        try:
            check_written(config.store)
        except OF_PARTS as error:
            raise explained_by(error, "store") from error
    for address in config.addresses:
        try:
            check_target(address, allowed)
            check_target_rate(config.plan, address)
        except OF_PARTS as error:
            raise explained_by(error, "targets", f"{config.named('targets')}: ") from error
        if config.auto_peak:
            _check_may_probe(config, address)
    if config.service_metrics is not None:
        _check_service_metrics(config, allowed)


def _check_every_class_has_a_host(config: RunConfig) -> None:
    without = [scenario.user for scenario in config.plan.scenarios if scenario.user not in config.hosts]
    if config.hosts and without and not config.targets:
        raise ConfigError(
            "targets",
            f"{config.named('targets')}: expected an address, or a host in every class of the plan: "
            f"{', '.join(without)} has none, {', '.join(config.hosts)} has",
        )


def _check_service_metrics(config: RunConfig, allowed: list[str]) -> None:
    if config.needs_service:
        raise ConfigError(
            "service_metrics",
            f"{config.named('service_metrics')}: expected together with {config.named('targets')}; the "
            "order service's "
            "own metrics are read without it",
        )
    try:
        check_http(config.service_metrics or "")
        check_target(config.service_metrics, allowed)
    except OF_PARTS as error:
        raise explained_by(error, "service_metrics", f"{config.named('service_metrics')}: ") from error


def _check_may_probe(config: RunConfig, url: str) -> None:
    """Raise `ConfigError` for a host with an agreed rate: a probe sends as fast as it can."""
    host = target_address(url).host
    agreed = agreed_rate(config.plan, host)
    if agreed is not None:
        raise ConfigError(
            "auto_peak",
            f"--peak-tps auto: would load {host} at full speed, but at most {agreed:,.0f} requests a second "
            "are allowed there; give a number",
        )


def _check_faults(config: RunConfig) -> None:
    """Raise `ConfigError` for a fault that this run cannot play."""
    for fault in config.plan.faults:
        where = f"{config.plan_name}: fault {fault.name}: "
        if fault.kind in (*SERVICE, *PROCESS) and not (config.needs_service and config.conducted):
            raise ConfigError(
                "plan",
                f"{where}kind {fault.kind} needs the order service that `singlesday run` starts; for a service of "
                "your own use kind hook with its command or url",
            )
        if fault.process == "supervisor" and fault.kind != "stop" and config.web:
            raise ConfigError(
                "plan",
                f"{where}ends the supervisor, which the web UI needs for further runs; use `singlesday run` "
                "without --web",
            )
        if fault.kind in NETWORK and config.workers_elsewhere:
            raise ConfigError(
                "plan",
                f"{where}kind {fault.kind} is made by proxies on this machine, which workers on other machines "
                f"({config.named('workers_elsewhere')}) cannot reach; start the workers here, or use kind hook with "
                "a command or url of yours",
            )
        _check_made(fault, where)
        for url in filter(None, (fault.url, fault.undo_url)):
            try:
                check_target(url, config.allowed)
            except OF_PARTS as error:
                raise explained_by(error, "plan", where) from error


def _check_made(fault: Fault, where: str) -> None:
    """Raise `ConfigError` for a fault that this machine could not make."""
    from loadtest.faults.hook import HookFault  # noqa: PLC0415 - asyncio with it, and few plans have faults
    from loadtest.faults.machine_faults import DiskFault  # noqa: PLC0415
    from loadtest.faults.maker import FaultError  # noqa: PLC0415

    try:
        if fault.kind == HOOK:
            HookFault(fault).check()
        if fault.kind == "disk-full":
            DiskFault(fault).check()
    except FaultError as error:
        raise ConfigError("plan", f"{where}{error}") from error


def _check_auditing(config: RunConfig) -> None:
    if config.audit_store:
        try:
            check_store(config.audit_store)
        except OF_PARTS as error:
            raise explained_by(error, "audit_store") from error


def _check_publishing(config: RunConfig) -> None:
    if config.remote_write:
        try:
            Receiver.of(config.remote_write, os.environ)
            WriteRequests()
        except OF_PARTS as error:
            raise explained_by(error, "remote_write", f"{config.named('remote_write')}: ") from error


def _check_fleet(config: RunConfig) -> None:
    """Raise `ConfigError` unless workers on other machines can connect, and only those with the token."""
    try:
        check_door(config.bind, token_in(os.environ), config.named("bind"))
    except OF_PARTS as error:
        raise explained_by(error, "bind") from error
    if config.conducted and "bind" in config.sources and not config.workers_elsewhere:
        raise ConfigError(
            "bind",
            f"{config.named('bind')}: expected together with {config.named('workers_elsewhere')}, since "
            "only workers on "
            "other machines connect there",
        )
    if config.min_workers < 1 or (config.conducted and config.min_workers > config.workers):
        raise ConfigError(
            "min_workers",
            f"{config.named('min_workers')} {config.min_workers}: expected 1 to {config.workers}, the number "
            "of workers of this run",
            value=str(config.min_workers),
        )
    if config.workers_elsewhere and config.conducted and config.needs_service:
        raise ConfigError(
            "workers_elsewhere",
            f"{config.named('workers_elsewhere')}: expected together with {config.named('targets')}, since the order "
            "service that a run starts can be reached from this machine only",
        )
    if config.workers_elsewhere and config.auto_peak:
        raise ConfigError(
            "auto_peak",
            "--peak-tps auto: measures this machine, but the workers are on other machines; give a number",
        )


def check_out(config: RunConfig) -> None:
    """Raise `ConfigError` unless a run's ledger fits where run folders are made, and can be written there."""
    field = "folder" if config.folder is not None else "out"
    out = Path(config.folder).parent if config.folder is not None else Path(config.out)
    named = f"{config.named('out' if config.conducted else field)} {out}"
    place = out.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise ConfigError(field, f"{named}: expected a folder, but {place} is a file", value=str(out))
    if not os.access(place, os.W_OK | os.X_OK):
        raise ConfigError(
            field, f"{named}: expected a folder that can be written, but {place} cannot", value=str(out)
        )
    free, wanted = shutil.disk_usage(place).free, ARTEFACTS_BYTES + config.workers * GROWTH_BYTES
    if free < wanted:
        raise ConfigError(
            field,
            f"{named}: expected at least {wanted >> 20} MiB free for the files of a run with {config.workers:,} "
            f"worker{'s' * (config.workers != 1)}, got {free / (1 << 20):.1f} MiB",
            value=str(out),
        )


def check_port_free(port: int, flag: str) -> None:
    """Raise `ConfigError` unless `port` of loopback can be bound now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OverflowError:
            raise ConfigError(flag, f"{flag} {port}: expected a port, 0 to 65535", value=str(port)) from None
        except OSError as error:
            raise ConfigError(
                flag, f"{flag} {port}: the port is in use ({error.strerror})", value=str(port)
            ) from error
