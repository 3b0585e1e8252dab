"""Configuration: every flag, its twin in the environment, and the checks made before anything is opened.

`Config` names each setting once, with its range, default and meaning; the command line, the environment (`ORDERS_…`)
and the help text come from it. A flag wins over the environment, which wins over the default. A bad value ends the
process with exit code 2 and a message that names the flag or variable it came from.
"""

import argparse
import ipaddress
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from target_service.faults import FaultKind, Route, read_drill
from target_service.secrets import masked

YEAR_S = 31_536_000
EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_TEMPORARY = 75
"""EX_TEMPFAIL of sysexits.h: a worker's way to say that waiting may help."""


def _about(meaning: str, low: float | None = None, high: float | None = None) -> Meta:
    return Meta(ge=low, le=high, description=meaning)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """How one service runs; made by `parse`, sent to each worker as JSON."""

    host: Annotated[str, _about("address of the public API")] = "127.0.0.1"
    port: Annotated[int, _about("port of the public API; 0 picks a free one", 0, 65535)] = 8080
    admin_host: Annotated[
        str, _about("address of the admin port; one that other machines reach needs --admin-token")
    ] = "127.0.0.1"
    admin_port: Annotated[int, _about("port of /metrics and /admin; 0 picks a free one", 0, 65535)] = 8081
    admin_token: Annotated[
        str,
        _about(
            "bearer token for /admin/*, for restocks, and for /metrics where other machines reach it; without one"
            " /admin/* and restocks are refused"
        ),
    ] = ""
    workers: Annotated[int, _about("worker processes that share the port", 1, 64)] = 1
    store: Annotated[
        str,
        _about(
            "address of the store, sqlite:///FILE or postgresql://…; put one with a password into the environment"
            " or a file, since everybody on the machine can read a command line"
        ),
    ] = "sqlite:///orders.db"
    store_file: Annotated[str, _about("file that holds the address of the store, in place of --store")] = ""
    stock: Annotated[int, _about("units of each product before its first sale", 0, 10**12)] = 1_000_000
    stock_buckets: Annotated[int, _about("has no effect any more: a product's units are one row", 1, 64)] = 1
    skus: Annotated[int, _about("products in the catalogue: sku-000001 and up", 1, 10**9 - 1)] = 1_000_000
    drain_s: Annotated[float, _about("seconds to wait for requests under way when stopping", 0.1, 3600)] = (
        10.0
    )
    store_wait_s: Annotated[
        float, _about("seconds an order waits for the store before it is answered with 503", 0.01, 60)
    ] = 2.0
    body_deadline_s: Annotated[
        float, _about("seconds that the body of a request may take to arrive", 0.1, 3600)
    ] = 10.0
    idle_s: Annotated[
        float,
        _about(
            "seconds a connection may be idle, send an unfinished head, or leave answers unread", 0.1, 3600
        ),
    ] = 75.0
    reservation_s: Annotated[
        float, _about("seconds until an unpaid order is cancelled; 0: never", 0, YEAR_S)
    ] = 1800.0
    key_ttl_s: Annotated[float, _about("seconds that idempotency keys are kept; 0: for ever", 0, YEAR_S)] = (
        86_400.0
    )
    most_in_flight: Annotated[
        int, _about("changes that one worker works on at a time; beyond that it answers 503", 64, 1_000_000)
    ] = 10_000
    most_connections: Annotated[
        int,
        _about(
            "connections that one worker keeps; beyond that it answers 503 and closes, save for health checks",
            1,
            1_000_000,
        ),
    ] = 10_000
    enable_faults: Annotated[bool, _about("allow faults for drills (yes or no)")] = False
    drill: Annotated[str, _about("JSON file with the drill to start with; needs --enable-faults")] = ""

    def without_secrets(self) -> dict[str, Any]:
        """The settings as a mapping fit for a log: tokens and passwords are masked."""
        shown = msgspec.structs.asdict(self)
        shown["admin_token"] = "set" if self.admin_token else "not set"
        shown["store"] = masked(self.store)
        return shown


EXPECTED_STORE = (
    "expected sqlite:///FILE or postgresql://HOST/DATABASE"
    " (what was given is not shown, since it may hold a password)"
)


def one_line(text: str) -> str:
    """A secret without the line break that ends a file, and with nothing else around it.

    Raises argparse.ArgumentTypeError, which does not show it.
    """
    line = text.removesuffix("\n")
    if line != line.strip() or not line.isprintable() or len(line) > LONGEST_SECRET:
        raise argparse.ArgumentTypeError("expected one line of text with nothing around it")
    return line


def store_dsn(text: str) -> str:
    """Check that a text names a store. Raises argparse.ArgumentTypeError."""
    text = one_line(text)
    try:
        parts = urlsplit(text)
    except ValueError:  # an unmatched bracket; the error would repeat the text
        raise argparse.ArgumentTypeError(EXPECTED_STORE) from None
    is_file = parts.scheme == "sqlite" and parts.path.strip("/") and not parts.netloc
    if not is_file and not text.lower().startswith(("postgresql://", "postgres://")):
        raise argparse.ArgumentTypeError(EXPECTED_STORE)
    return text


LONGEST_SECRET = 4096
"""Characters."""
_SWITCH = {"yes": True, "no": False, "true": True, "false": False, "1": True, "0": False}


class Option(NamedTuple):
    """One setting: `--name`, `ORDERS_NAME`, and how to read it."""

    name: str
    kind: type
    meta: Meta
    default: Any

    @property
    def flag(self) -> str:
        """As it is written on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """As it is written in the environment."""
        return "ORDERS_" + self.name.upper()

    def read(self, text: str) -> Any:
        """The value that a text stands for. Raises argparse.ArgumentTypeError."""
        if self.name == "store":
            return store_dsn(text)
        if self.name == "admin_token":
            return one_line(text)
        if self.kind is str:
            return text
        if self.kind is bool:
            value, expected = _SWITCH.get(text.lower()), "yes or no"
        else:
            value, expected = self._number(text), f"{self.meta.ge} to {self.meta.le}{self._unit}"
        if value is None:
            raise argparse.ArgumentTypeError(
                f"expected {expected}, got {text!r}; {self.variable} sets it, too"
            )
        return value

    @property
    def _unit(self) -> str:
        return " seconds" if self.kind is float else ""

    def _number(self, text: str) -> Any:
        if self.kind is int and not text.removeprefix("-").isdecimal():
            return None
        try:
            return msgspec.convert(text, Annotated[self.kind, self.meta], strict=False)
        except msgspec.ValidationError:
            return None


def _options() -> list[Option]:
    hints = get_type_hints(Config, include_extras=True)
    options = []
    for field in msgspec.structs.fields(Config):
        kind, meta = get_args(hints[field.name])
        options.append(Option(field.name, kind, meta, field.default))
    return options


OPTIONS = _options()


def parse(argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> Config:
    """Read the flags and the environment; exit with code 2 and a message that names a bad one."""
    parser = _Parser(
        prog="target_service",
        description="The sample order service. Each flag has a twin in the environment.",
        allow_abbrev=False,
    )
    stores = parser.add_mutually_exclusive_group()
    for option in OPTIONS:
        switch: dict[str, Any] = {"nargs": "?", "const": True} if option.kind is bool else {}
        meaning = f"{option.meta.description} [{option.variable}; default {_in_words(option.default)}]"
        default = environment.get(option.variable, option.default)
        group = stores if option.name in ("store", "store_file") else parser
        group.add_argument(option.flag, type=option.read, default=default, **switch, help=meaning)
    values = vars(parser.parse_args(argv))
    path = values.pop("store_file")
    is_flag = any(each.partition("=")[0] == "--store" for each in argv)
    if path and not is_flag:  # a flag goes before the environment
        values["store"] = _store_in(parser, path)
    config = Config(**values)
    if not is_loopback(config.admin_host) and not config.admin_token:
        parser.error(f"--admin-host: other machines reach {config.admin_host}, so it needs --admin-token")
    if config.drill and not config.enable_faults:
        parser.error("--drill needs --enable-faults")
    try:
        read_drill(config.drill)
    except (OSError, msgspec.DecodeError) as error:
        known = f"kinds of fault: {', '.join(get_args(FaultKind))}; routes: {', '.join(get_args(Route))}"
        parser.error(f"argument --drill: {config.drill}: {error} ({known})")
    return config


def _in_words(default: object) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    return f"{default:g}" if isinstance(default, float) else str(default) or "none"


class _Parser(argparse.ArgumentParser):
    """Never repeats the value of an unknown flag: it may be a secret under a misspelt name."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does, but name only the flags of unknown arguments."""
        known, strange = self.parse_known_args(args, namespace)
        if strange:
            names = [each.partition("=")[0] for each in strange if each.startswith("-")]
            self.error(f"unrecognized arguments: {' '.join(names) or 'a value without a flag'}")
        return known


def _store_in(parser: argparse.ArgumentParser, path: str) -> str:
    """The store that is named in a file."""
    named = f"argument --store-file: {path}"
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            return store_dsn(file.read(LONGEST_SECRET + 2))
    except (OSError, UnicodeDecodeError) as error:
        parser.error(f"{named}: {getattr(error, 'strerror', None) or 'expected text'}")
    except argparse.ArgumentTypeError as error:
        parser.error(f"{named}: {error}")


def is_loopback(host: str) -> bool:
    """Whether the address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
