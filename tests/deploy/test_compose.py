"""docker-compose.yml: valid by the specification, complete in itself, and closed by default."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.catalogue import DASHBOARDS
from deploy.compose.make_secrets import IN_FILES, values
from tests.required import program
from tests.target_service.service_process import ROOT

COMPOSE = ROOT / "docker-compose.yml"
DOCUMENT: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
SERVICES: dict[str, dict[str, Any]] = DOCUMENT["services"]
each_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def test_the_file_follows_the_specification() -> None:
    from compose_spec.models import ComposeSpecification  # noqa: PLC0415 - a third of a second in each worker

    ComposeSpecification.model_validate(DOCUMENT)


def test_the_dockerfile_satisfies_hadolint() -> None:
    done = subprocess.run(
        [program("hadolint"), "--failure-threshold", "info", ROOT / "Dockerfile"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@each_service
def test_whatever_a_service_refers_to_is_there(service: dict[str, Any]) -> None:
    assert set(service.get("depends_on", {})) <= set(SERVICES)
    assert set(service.get("networks", [])) <= set(DOCUMENT["networks"])
    assert set(service.get("secrets", [])) <= set(DOCUMENT["secrets"])
    for volume in service.get("volumes", []):
        source = volume.partition(":")[0]
        assert source in DOCUMENT["volumes"] or (ROOT / source).exists(), volume


def test_nothing_is_defined_that_nobody_uses() -> None:
    used = {name for service in SERVICES.values() for name in service.get("networks", [])}
    assert used == set(DOCUMENT["networks"])
    mounted = {v.partition(":")[0] for service in SERVICES.values() for v in service.get("volumes", [])}
    assert {name for name in mounted if not name.startswith(".")} == set(DOCUMENT["volumes"])


@each_service
def test_a_service_is_published_on_loopback_only(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@each_service
def test_a_service_can_write_nowhere_it_need_not_and_gains_no_right(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    limits = service["deploy"]["resources"]["limits"]
    assert {"cpus", "memory"} <= set(limits)


@each_service
def test_a_service_does_not_run_as_root(service: dict[str, Any]) -> None:
    if service["image"].startswith("singlesday:"):
        users = re.findall(r"^USER (\d+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
        assert users == ["10001"]
    else:
        assert str(service["user"]) not in {"", "0", "root"}


def test_one_service_builds_the_image_that_all_of_ours_run() -> None:
    """Compose builds them at once, and the second to export a name fails ("already exists") on a fresh machine."""
    ours = {name: found for name, found in SERVICES.items() if found["image"].startswith("singlesday:")}
    assert [name for name, found in SERVICES.items() if "build" in found] == ["orders"]
    assert {found["pull_policy"] for name, found in ours.items() if name != "orders"} == {"never"}
    assert SERVICES["orders"]["pull_policy"] == "build", "else a newer checkout would run an older image"
    assert {found["image"] for found in ours.values()} == {SERVICES["orders"]["image"]}
    assert all("orders" in reached(name) for name in ours), "whatever is started has it built"


def reached(name: str) -> set[str]:
    """A service and all that it depends on."""
    return {name}.union(*(reached(other) for other in SERVICES[name].get("depends_on", {})))


@each_service
def test_an_image_is_pinned(service: dict[str, Any]) -> None:
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?[\w.-]*", service["image"])


@each_service
def test_a_secret_has_no_default(service: dict[str, Any]) -> None:
    """It is demanded, comes from a file, or is left empty for a program that then refuses to start."""
    for name, value in service.get("environment", {}).items():
        if name.endswith("_FILE"):
            assert value.removeprefix("/run/secrets/") in service["secrets"]
        elif re.search(r"PASSWORD|TOKEN|STORE", name):
            assert re.search(r"\$\{\w+:\?[^}]+\}", value) or value in REFUSED_IF_EMPTY, name


REFUSED_IF_EMPTY = {"${LOADTEST_TOKEN:-}", "${LOADTEST_WEB_TOKEN:-}"}
"""`test_topology.py` starts the master without them."""
NEEDED_BY_CI = {"ORDERS_DB_PASSWORD", "ORDERS_ADMIN_TOKEN", "LOADTEST_METRICS_TOKEN"}


def test_no_variable_is_demanded_that_the_profile_ci_does_without() -> None:
    """Compose fills in the variables of all services, also of those that it does not start."""
    assert set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text())) == NEEDED_BY_CI


@pytest.mark.parametrize("name", DOCUMENT["secrets"])
def test_a_secret_is_a_file_since_compose_puts_no_other_into_a_read_only_container(name: str) -> None:
    assert DOCUMENT["secrets"][name] == {"file": f"./secrets/{name}"}
    assert name.upper() in IN_FILES


def test_the_example_names_every_variable_and_draws_none() -> None:
    example = values((ROOT / ".env.example").read_text())
    assert set(re.findall(r"\$\{(\w+)", COMPOSE.read_text())) | set(IN_FILES) == set(example)
    assert set(example.values()) == {""}


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in {"worker", "ci"}])
def test_what_others_wait_for_says_when_it_is_ready(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


def test_grafana_finds_prometheus_and_every_dashboard() -> None:
    mounts = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    provider = yaml.safe_load((ROOT / "dashboards/provisioning/dashboards/singlesday.yml").read_text())
    assert mounts["./dashboards/json"] == provider["providers"][0]["options"]["path"]
    assert len(list((ROOT / "dashboards/json").glob("*.json"))) == len(DASHBOARDS)
    source = yaml.safe_load((ROOT / "dashboards/provisioning/datasources/prometheus.yml").read_text())
    variable = source["datasources"][0]["url"].strip("${}")
    assert variable in SERVICES["grafana"]["environment"]


def test_prometheus_scrapes_services_that_exist_at_ports_they_serve() -> None:
    config = yaml.safe_load((ROOT / "deploy/compose/prometheus.yml").read_text())
    for job in config["scrape_configs"]:
        [lookup] = job["dns_sd_configs"]
        for name in lookup["names"]:
            assert str(lookup["port"]) in SERVICES[name]["command"]
        secret = Path(job["authorization"]["credentials_file"]).name
        assert secret in SERVICES["prometheus"]["secrets"]


def test_prometheus_accepts_its_configuration() -> None:
    done = subprocess.run(
        [program("promtool"), "check", "config", "--syntax-only", ROOT / "deploy/compose/prometheus.yml"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
