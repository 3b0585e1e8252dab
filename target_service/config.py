"""Configuration: every flag, its twin in the environment, and the checks made before anything is opened.

One table (`OPTIONS`) names each setting once; the command line, the environment (`ORDERS_…`) and the help
text come from it. A flag wins over the environment, which wins over the default. A bad value ends the process
with exit code 2 and a message that names the flag or variable it came from.
"""

import argparse
import ipaddress
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from target_service.secrets import masked


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """How one service runs; made by `parse`, sent to each worker as JSON."""

    host: str
    port: int
    admin_host: str
    admin_port: int
    admin_token: str
    workers: int
    store: str
    stock: int
    skus: int
    drain_s: float
    store_wait_s: float
    body_deadline_s: float
    idle_s: float
    reservation_s: float
    key_ttl_s: float
    most_in_flight: int
    most_connections: int
    enable_faults: bool
    drill: str

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


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse_integer(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"expected {low} to {high}, got {value}")
        return value

    return parse_integer


def _seconds(low: float, high: float) -> Callable[[str], float]:
    def parse_seconds(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected seconds, got {text!r}") from None
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"expected {low:g} to {high:g} seconds, got {text}")
        return value

    return parse_seconds


def _switch(text: str) -> bool:
    if text.lower() not in ("0", "1", "false", "true", "no", "yes"):
        raise argparse.ArgumentTypeError(f"expected yes or no, got {text!r}")
    return text.lower() in ("1", "true", "yes")


def store_dsn(text: str) -> str:
    """Check that a text names a store. Raises argparse.ArgumentTypeError."""
    try:
        parts = urlsplit(text)
    except ValueError:  # an unmatched bracket; the error would repeat the text
        raise argparse.ArgumentTypeError(EXPECTED_STORE) from None
    if parts.scheme == "sqlite" and parts.path.strip("/") and not parts.netloc:
        return text
    if parts.scheme in ("postgresql", "postgres"):
        return text
    raise argparse.ArgumentTypeError(EXPECTED_STORE)


class Option(NamedTuple):
    """One setting: `--name`, `ORDERS_NAME`, how to read it, and what it means."""

    name: str
    read: Callable[[str], Any]
    default: Any
    help: str

    @property
    def flag(self) -> str:
        """As it is written on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """As it is written in the environment."""
        return "ORDERS_" + self.name.upper()


OPTIONS = (
    Option("host", str, "127.0.0.1", "address of the public API"),
    Option("port", _integer(0, 65535), 8080, "port of the public API; 0 picks a free one"),
    Option("admin_host", str, "127.0.0.1", "address of the admin port; beyond loopback only with a token"),
    Option("admin_port", _integer(0, 65535), 8081, "port of /metrics and /admin; 0 picks a free one"),
    Option("admin_token", str, "", "bearer token for /admin/*; without one those paths are closed"),
    Option("workers", _integer(1, 64), 1, "worker processes that share the port"),
    Option(
        "store",
        store_dsn,
        "sqlite:///orders.db",
        "sqlite:///FILE or postgresql://…; a DSN with a password belongs into the environment or into a file,"
        " since everybody on the machine can read a command line",
    ),
    Option("store_file", str, "", "file that holds the DSN of the store, in place of --store"),
    Option("stock", _integer(0, 10**12), 1_000_000, "units of each product before its first sale"),
    Option("skus", _integer(1, 999_999_999), 1_000_000, "products in the catalogue: sku-000001 and up"),
    Option("drain_s", _seconds(0.1, 3600), 10.0, "longest wait for running requests when stopping"),
    Option("store_wait_s", _seconds(0.01, 60), 2.0, "longest an order waits for a locked store"),
    Option("body_deadline_s", _seconds(0.1, 3600), 10.0, "longest wait for the rest of a body"),
    Option(
        "idle_s",
        _seconds(0.1, 3600),
        75.0,
        "longest a connection may be idle, take over a head, or read nothing",
    ),
    Option(
        "reservation_s", _seconds(0, 31_536_000), 1800.0, "unpaid orders are cancelled after this; 0: never"
    ),
    Option(
        "key_ttl_s", _seconds(0, 31_536_000), 86_400.0, "idempotency keys are kept this long; 0: for ever"
    ),
    Option(
        "most_in_flight", _integer(64, 1_000_000), 10_000, "changes one worker takes on before it answers 503"
    ),
    Option(
        "most_connections",
        _integer(1, 1_000_000),
        10_000,
        "connections one worker keeps; one more is told 503 and closed, unless it asks for health",
    ),
    Option("enable_faults", _switch, False, "allow faults for drills (yes or no)"),
    Option("drill", str, "", "JSON file with the drill to begin with; needs --enable-faults"),
)


def parse(argv: Sequence[str], environment: Mapping[str, str] = os.environ) -> Config:
    """Read the flags and the environment; exit with code 2 and a message naming the culprit if one is bad."""
    parser = _Parser(prog="target_service", description="The order service.", allow_abbrev=False)
    for option in OPTIONS:
        switch: dict[str, Any] = {"nargs": "?", "const": True} if option.read is _switch else {}
        parser.add_argument(
            option.flag,
            type=option.read,
            **switch,
            help=f"{option.help} [{option.variable}; {option.default}]",
        )
    flags = vars(parser.parse_args(argv))
    values: dict[str, Any] = {
        option.name: _value(parser, option, flags[option.name], environment) for option in OPTIONS
    }
    _read_store_file(
        parser, values, is_named_twice=flags["store"] is not None and flags["store_file"] is not None
    )
    config = Config(**values)
    if not is_loopback(config.admin_host) and not config.admin_token:
        parser.error(f"--admin-host {config.admin_host} is reachable from outside: it needs --admin-token")
    if config.drill and not config.enable_faults:
        parser.error("--drill needs --enable-faults")
    return config


class _Parser(argparse.ArgumentParser):
    """Repeats no value of a flag it does not know: it may be a secret under a name misspelt."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does, but of strange arguments only the flags are named."""
        known, strange = self.parse_known_args(args, namespace)
        if strange:
            names = [each.partition("=")[0] for each in strange if each.startswith("-")]
            self.error(f"unrecognized arguments: {' '.join(names) or 'a value without a flag'}")
        return known


def _read_store_file(
    parser: argparse.ArgumentParser, values: dict[str, Any], *, is_named_twice: bool
) -> None:
    """Take the store from the file that holds it, if one is named."""
    path = values.pop("store_file")
    if is_named_twice:
        parser.error("argument --store-file: not allowed with argument --store")
    if path:
        try:
            values["store"] = store_dsn(Path(path).read_text().strip())
        except (OSError, UnicodeDecodeError) as error:
            parser.error(
                f"argument --store-file: {path}: {getattr(error, 'strerror', None) or 'expected text'}"
            )
        except argparse.ArgumentTypeError as error:
            parser.error(f"argument --store-file: {path}: {error}")


def _value(
    parser: argparse.ArgumentParser, option: Option, flag: object, environment: Mapping[str, str]
) -> object:
    if flag is not None:
        return flag
    text = environment.get(option.variable)
    if text is None:
        return option.default
    try:
        return option.read(text)
    except argparse.ArgumentTypeError as error:
        parser.error(f"environment {option.variable}: {error}")


def is_loopback(host: str) -> bool:
    """Whether the address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
