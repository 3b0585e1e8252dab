"""`singlesday watch`: web UI, order service and Prometheus on this machine, without Docker.

It starts the order service, a master with the web UI, workers and, where it is installed, Prometheus, says which
addresses to open, and ends all of it on Ctrl-C, or when one of them ends by itself: a page that stands still because
its source is gone looks like a quiet run. The files in a folder of their own stay for looking at later.
"""

import json
import shutil
import signal
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

from rich.console import Console

from loadtest.cli.children import Child
from loadtest.cli.run import free_port, locust_flags, new_token
from loadtest.cli.service import Service
from loadtest.configuration.check import check_port_free
from loadtest.configuration.run_config import RunConfig, ServiceAddress
from loadtest.configuration.run_document import as_environment, write_document

SCRAPE_S = 1
LOOK_EVERY_S = 0.5
"""How often it is looked whether every process still runs."""
LAST_LINES = 20
"""Of a process that ended: a program that panics says why above where it was."""
CHECKOUT = Path(__file__).parents[2]
SHIPPED = Path(__file__).parents[1] / "_shipped"
"""Where a wheel has the dashboards (see setup.py)."""
RULES = (SHIPPED if SHIPPED.is_dir() else CHECKOUT) / "dashboards" / "prometheus"


class ProcessEndedError(Exception):
    """A process ended by itself; the message says which one, how, and the end of its log."""


def watch(config: RunConfig, prometheus_port: int, console: Console) -> None:
    """Start everything, say where it is, and wait for Ctrl-C.

    Raises `ConfigError`, `ServiceError`, and `ProcessEndedError` after everything else has been ended.
    """
    prometheus = shutil.which("prometheus")
    if prometheus is not None:
        check_port_free(prometheus_port, "--prometheus-port")
    folder = (Path(config.out) / "watch").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    ended, token = Event(), new_token()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with ExitStack() as running:
        service = Service(
            f"sqlite:///{folder / 'orders.db'}", folder / "service.log", workers=config.service_workers
        )
        running.callback(service.stop)
        config = config.but(
            service=ServiceAddress(service.url, service.metrics_url),
            audit_store=service.store,
            metrics_port=free_port(),
        )
        processes, places = [service.child], _places(config, service)

        def start(process: Child) -> None:
            running.callback(process.stop)
            processes.append(process)

        write_document(config, folder)
        environment = token | as_environment(config, folder)
        for name, command in _locust(config, folder).items():
            start(Child(name, command, log=folder / f"{name}.log", environment=environment))
        if prometheus is None:
            places += [("Prometheus", "not installed; runs and reports work without it")]
        else:
            start(_start_prometheus(prometheus, prometheus_port, config, service))
            places.append(("Prometheus", f"http://127.0.0.1:{prometheus_port}"))
        _say(console, places)
        _wait(ended, processes)


def prometheus_config(loadtest: str, orders: str) -> str:
    """A configuration that scrapes both every second; JSON is YAML too."""
    jobs = {"loadtest": loadtest, "orders": orders}
    config = {
        "global": {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": "5s"},
        "rule_files": [
            str(path) for path in sorted(RULES.glob("*.yml")) if not path.name.endswith("_test.yml")
        ],
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": [target]}]} for name, target in jobs.items()
        ],
    }
    return json.dumps(config, indent=1)


def _locust(config: RunConfig, folder: Path) -> dict[str, list[str]]:
    """Commands by name: the master first, then its workers."""
    master, worker = locust_flags(config, folder)
    return {"web-ui": master} | {f"worker-{number + 1}": worker for number in range(config.workers)}


def _start_prometheus(program: str, port: int, config: RunConfig, service: Service) -> Child:
    """Prometheus, scraping the master and the order service."""
    folder = (Path(config.out) / "watch").resolve()
    scraped = folder / "prometheus.yml"
    scraped.write_text(
        prometheus_config(f"127.0.0.1:{config.metrics_port}", urlsplit(service.admin_url).netloc)
    )
    command = [program, f"--config.file={scraped}", f"--storage.tsdb.path={folder / 'prometheus'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    command += ["--enable-feature=exemplar-storage"]
    return Child("Prometheus", command, log=folder / "prometheus.log")


def _places(config: RunConfig, service: Service) -> list[tuple[str, str]]:
    """What there is to open on every machine, each with its address."""
    web = f"http://127.0.0.1:{config.web_port}"
    return [
        ("start a run", web),
        ("watch it", f"{web}/peak"),
        ("order service", service.url),
        ("its metrics", f"{service.admin_url}/metrics"),
        ("the run's metrics", f"http://127.0.0.1:{config.metrics_port}/metrics"),
    ]


def _say(console: Console, places: list[tuple[str, str]]) -> None:
    for name, where in places:
        console.print(f"  {name:<20}{where}", soft_wrap=True)
    console.print("Ctrl-C ends all of it.", style="dim")


def _wait(ended: Event, processes: list[Child]) -> None:
    """Until somebody asks to end. Raises `ProcessEndedError` when a process ends by itself before."""
    while not ended.wait(LOOK_EVERY_S):
        for process in processes:
            if not process.running:
                said = process.last_lines(LAST_LINES) or "(nothing)"
                raise ProcessEndedError(
                    f"{process.name} ended by itself ({process.ending()}); the end of {process.log}:\n{said}"
                )
