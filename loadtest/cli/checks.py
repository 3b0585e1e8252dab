"""What is checked before `singlesday run` starts anything."""

import os
import shutil
import socket
from pathlib import Path
from urllib.parse import urlsplit

from loadtest.cli.run_session import RunOptions
from loadtest.drive.errors import HostNotAllowed
from loadtest.drive.preflight import UnreachableError, check_target
from loadtest.judge.slo_syntax import SloError, check, parse
from loadtest.measure.ledger import GROWTH_BYTES
from loadtest.plan.plan_file import Plan, PlanError
from loadtest.plan.target_rate import check_target_rate
from loadtest.publish.remote_write import MissingExtraError, WriteRequests
from loadtest.publish.remote_writer import BadReceiverError, Receiver
from loadtest.stored_books import StoreError

ARTEFACTS_BYTES = 8 << 20
"""Ample for result.json, its partial successor, the report and the logs of a run of hours."""


class BadFlagError(ValueError):
    """A flag that cannot be used; the message names it."""


BAD_INPUT = (PlanError, SloError, HostNotAllowed, UnreachableError, StoreError, BadFlagError)


def check_run(options: RunOptions) -> None:
    """Everything that can be known to be wrong now. Raises one of `BAD_INPUT`."""
    phases = {phase.name for phase in options.plan.profile().phases}
    for expr in (*options.plan.slos, *options.slos):
        check(parse(expr), (), phases)
    if options.targets:
        if options.store is not None:
            raise BadFlagError("--store: is the order service's; it cannot be given together with --target")
        for target in options.targets:
            check_target(target, [*options.plan.targets, *options.allow_hosts])
            check_target_rate(options.plan, target)
            if options.auto_peak:
                check_may_probe(options.plan, target)
    if options.service_metrics is not None:
        if not options.targets:
            raise BadFlagError("--service-metrics: belongs to a --target; the order service has its own")
        check_target(options.service_metrics, [*options.plan.targets, *options.allow_hosts])
    if options.remote_write:
        check_remote_write(options.remote_write)
    check_room(options.folder.parent, options.workers)
    if options.web:
        check_port_free(options.web_port, "--web-port")


def check_may_probe(plan: Plan, url: str) -> None:
    """Raise `BadFlagError` for a host whose owner agreed to a rate: a probe sends as fast as it can."""
    host = urlsplit(url).hostname or url
    if (allowed := plan.targets.get(host)) is not None:
        raise BadFlagError(
            f"--peak-tps auto: would probe {host} at full speed, and at most {allowed:,.0f} requests a second "
            "are allowed there; give a number"
        )


def check_remote_write(url: str) -> None:
    """Raise `BadFlagError` for a receiver that nothing can be pushed to from here."""
    try:
        Receiver.of(url, os.environ)
        WriteRequests()
    except (BadReceiverError, MissingExtraError) as error:
        raise BadFlagError(f"--remote-write: {error}") from error


def check_room(out: Path, workers: int) -> None:
    """Raise `BadFlagError` unless a run's ledgers and artefacts fit where run folders are made."""
    place = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.exists())
    free, wanted = shutil.disk_usage(place).free, ARTEFACTS_BYTES + workers * GROWTH_BYTES
    if free < wanted:
        raise BadFlagError(
            f"--out {out}: expected at least {wanted >> 20} MiB free for a run's books and artefacts, "
            f"got {free / (1 << 20):.1f} MiB"
        )


def check_port_free(port: int, flag: str) -> None:
    """Raise `BadFlagError` unless `port` of loopback can be bound now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise BadFlagError(f"{flag} {port}: the port is in use ({error.strerror})") from error
