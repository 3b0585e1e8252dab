"""`RunConfig`: everything that a run is asked to be, whichever door it came in by.

`singlesday run`, `resume`, `capacity` and `watch`, plain `locust`, `--autostart` and the web form each build one.
`check.check` holds it against the world, then it travels: `run.json` in the run's folder is this document, workers
get it from their master in the message that starts a test, and `result.json` repeats it.

Passwords are never written down. `public` takes them out and lists under `withheld` which fields had one; what
`singlesday` withheld reaches the processes it starts in the environment.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from loadtest.address import without_password
from loadtest.plan.plan_file import Plan
from loadtest.stored_orders import SQLITE

VERSION = 2
SHIPPED_SCENARIOS = "loadtest.scenarios."
"""How the modules of scenarios begin that come with the harness."""
CHECKPOINT_S = 10.0
"""How often a run is saved, unless it is asked for otherwise or would cost too much (`plugin.checkpoints`)."""
TOML = ".toml"

AtLeastOne = Annotated[int, Meta(ge=1)]
Port = Annotated[int, Meta(ge=0, le=65535)]


class Source(Struct, frozen=True):
    """Where a value came from, and what it is called there: `--out`, `LOCUST_OUT`, `out`."""

    kind: Literal["flag", "environment", "file", "form", "default"]
    name: str


class ServiceAddress(Struct, frozen=True):
    """Where the order service answers that was started for a run."""

    url: str
    metrics_url: str
    """Its own Prometheus page."""
    pid: int = 0
    """Of its supervisor."""
    created_s: float = 0.0
    """When that process was created, so that no other with its number is taken for it."""
    log: str = ""


class RunConfig(Struct, frozen=True, kw_only=True):
    """One run, as it was asked for."""

    version: int = VERSION
    plan: Plan
    plan_name: str
    """What the plan was asked for by: a shipped plan's name, or the path of a .toml file."""
    overrides: dict[str, str] = {}
    """What was put in the place of the plan's own figures (`peak_tps`, `duration`, …), as it was typed."""
    auto_peak: bool = False
    """Whether a probe finds the peak first."""
    objectives: list[str] = []
    """Besides the plan's."""
    left_out: list[str] = []
    """The script's classes that were not picked, where somebody picked classes by name."""
    tags: list[str] = []
    exclude_tags: list[str] = []
    targets: list[str] = []
    """Addresses that connections are spread over. Empty: each class has its own host, or the order service is it."""
    hosts: dict[str, str] = {}
    """The class's own host of each scenario that has one; they count where `targets` is empty."""
    allow_hosts: list[str] = []
    service: ServiceAddress | None = None
    """The order service, once it has been started to be the target."""
    through: list[str] = []
    """Addresses that connections are made to in the place of `addresses`, one for each: proxies of a plan that has
    faults of the network."""
    store: str | None = None
    """Of the order service, where one is started; None for `orders.db` in the folder."""
    audit_store: str | None = None
    """The database of a service that somebody else started, to audit the run with."""
    auditor: str | None = None
    """`module:Class` of somebody's own that audits the run (`judge.audit.Auditor`)."""
    service_metrics: str | None = None
    """The Prometheus page of a target that is not our own service."""
    workers: AtLeastOne = 1
    """How many are expected, wherever they run."""
    workers_elsewhere: Annotated[int, Meta(ge=0)] = 0
    """How many of them other hands start, on other machines."""
    min_workers: AtLeastOne = 1
    """With fewer left, the run ends."""
    bind: str = "127.0.0.1"
    """The address of this machine at which workers reach the master."""
    control_port: Port = 0
    """The port there; 0 takes any free one."""
    service_workers: AtLeastOne = 1
    out: str = "runs"
    """Where run folders are made."""
    folder: str | None = None
    """The folder of this very run, if it has been chosen."""
    resume: bool = False
    """Whether to go on with the run in `folder`."""
    checkpoint_s: Annotated[float, Meta(gt=0)] = CHECKPOINT_S
    console: str = "auto"
    csv: bool = False
    """Whether to leave Locust's own CSV files in the run folder too."""
    metrics_port: Port | None = None
    remote_write: str | None = None
    """Where to push the run's metrics."""
    web: bool = False
    """Whether runs are started in the web UI; each has a folder of its own below `out`."""
    web_port: Port = 8089
    conducted: bool = False
    """Whether `singlesday` started the processes: it then says how the run ended."""
    sources: dict[str, Source] = {}
    """Where each value came from that is not a default."""
    withheld: list[str] = []
    """Which fields held a password, and are written without it."""

    @property
    def plan_file(self) -> Path | None:
        """The file that the plan was read from; None for a shipped one. Scenario modules are looked for beside it."""
        return Path(self.plan_name) if self.plan_name.endswith(TOML) else None

    @property
    def one_run(self) -> bool:
        """Whether `singlesday` started the processes for this run alone: it then audits it, and says how it ended."""
        return self.conducted and not self.web

    @property
    def workers_here(self) -> int:
        """How many workers are started on this machine."""
        return self.workers - self.workers_elsewhere

    @property
    def addresses(self) -> list[str]:
        """Every address that the run's connections go to."""
        started = [self.service.url] if self.service is not None else []
        return self.targets or started or list(dict.fromkeys(self.hosts.values()))

    @property
    def host(self) -> str | None:
        """The address that every class is to load instead of its own."""
        return self.targets[0] if self.targets else self.service.url if self.service is not None else None

    @property
    def memory_page(self) -> str | None:
        """The Prometheus page of the target, whose memory is sampled."""
        return self.service.metrics_url if self.service is not None else self.service_metrics

    @property
    def needs_service(self) -> bool:
        """Whether the order service has to be started to be the target."""
        return not self.targets and not self.hosts

    @property
    def allowed(self) -> dict[str, float]:
        """Hosts beyond loopback that may be loaded, each with its highest rate."""
        return dict.fromkeys(self.allow_hosts, float("inf")) | self.plan.targets

    def named(self, field: str) -> str:
        """What the field is called where its value was given."""
        source = self.sources.get(field)
        return source.name if source else _FLAGS.get(field, f"--{field.replace('_', '-')}")

    def but(self, **changes: Any) -> "RunConfig":
        """The same, with some fields changed."""
        return msgspec.structs.replace(self, **changes)

    def to_json(self) -> bytes:
        """The whole document, passwords included: for processes of the run, never for a file."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, data: bytes) -> "RunConfig":
        """What `to_json` wrote. Raises `msgspec.DecodeError`."""
        return msgspec.json.decode(data, type=cls)


_FLAGS = {
    "targets": "--target",
    "objectives": "--slo",
    "allow_hosts": "--allow-host",
    "checkpoint_s": "--checkpoint",
    "folder": "--run-dir",
    "workers_elsewhere": "--expect-workers",
    "left_out": "the classes picked by name",
}
"""Flags that are called other than their field."""
SECRETS = ("store", "audit_store", "service_metrics", "remote_write", "targets", "hosts")
"""Fields whose addresses may hold a password."""


def public(config: RunConfig) -> RunConfig:
    """The configuration as it may be written down. A path to a database becomes absolute."""
    store = _absolute(config.store) if config.store else config.store
    given = {name: getattr(config, name) for name in SECRETS} | {"store": store}
    written = {name: _without_passwords(value) for name, value in given.items()}
    withheld = sorted(name for name, value in written.items() if value != given[name])
    return config.but(**written, withheld=withheld)


def secrets_of(config: RunConfig) -> dict[str, Any]:
    """The values that `public` leaves out, by field."""
    return {name: getattr(config, name) for name in public(config).withheld}


def _without_passwords(value: Any) -> Any:
    if isinstance(value, str):
        return without_password(value)
    if isinstance(value, list):
        return [without_password(address) for address in value]
    if isinstance(value, dict):
        return {name: without_password(address) for name, address in value.items()}
    return value


def _absolute(store: str) -> str:
    """A store's address that means the same in every working directory."""
    path = store.removeprefix(SQLITE)
    return f"{SQLITE}{Path(path).resolve()}" if store.startswith(SQLITE) else store
