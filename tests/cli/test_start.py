"""What is imported when a process starts: that is most of the time until it begins."""

import subprocess
import sys

import pytest

PAGES = {"jinja2", "loadtest.publish.html"}
LEADS = {"rich", "prometheus_client", "loadtest.plugin.leading", "loadtest.publish.run_folder"}


@pytest.mark.parametrize(
    ("what", "not_needed"),
    [
        pytest.param(
            "import loadtest.cli.main", PAGES | {"locust", "gevent", "asyncio", "polars"}, id="a command"
        ),
        pytest.param(
            "import loadtest.cli.run",
            PAGES | {"locust", "gevent", "requests", "zmq", "asyncio", "prometheus_client"},
            id="a run's command",
        ),
        pytest.param(
            # Locust's web UI imports jinja2 in every process.
            "import locust.main, loadtest.plugin",
            LEADS | {"asyncio", "loadtest.publish.html"},
            id="a worker",
        ),
        pytest.param("import target_service.__main__", {"aiohttp", "uvloop"}, id="a supervisor"),
    ],
)
def test_nothing_is_imported_that_is_not_needed(what: str, not_needed: set[str]) -> None:
    code = f"{what}\nimport sys\nprint(*sys.modules)"
    imported = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"loadtest", "target_service"} & set(imported)
    assert not_needed & set(imported) == set()
