"""deploy/k8s: every resource valid by Kubernetes' own schema, and the references between them hold."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtest.plan.plan_file import Plan
from tests.deploy.test_version import VERSION
from tests.target_service.service_process import ROOT

FOLDER = ROOT / "deploy" / "k8s"
FLEET = FOLDER / "fleet"
RELAYS = FOLDER / "fleet-relays"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
KUBERNETES = "1.31"
CUSTOM = {"ServiceMonitor", "PrometheusRule", "LocustTest"}
"""Kinds of operators, whose schemas Kubernetes does not have."""

Resource = dict[str, Any]


def resources() -> Iterator[Resource]:
    files = [FOLDER / name for name in KUSTOMIZATION["resources"]]
    others = [
        *(FOLDER / "examples").glob("*.yaml"),
        FLEET / "run.yaml",
        FLEET / "workers.yaml",
        RELAYS / "relays.yaml",
    ]
    for path in [*files, *sorted(others)]:
        yield from (found for found in yaml.safe_load_all(path.read_text()) if found)


ALL = list(resources())
NAMES = [f"{found['kind']} {found['metadata']['name']}" for found in ALL]
WORKLOADS = [found for found in ALL if found["kind"] in {"Deployment", "Job"}]
workload = pytest.mark.parametrize("resource", WORKLOADS, ids=[w["metadata"]["name"] for w in WORKLOADS])


def pod(resource: Resource) -> Resource:
    template: Resource = resource["spec"]["template"]
    return template


def check(resource: Resource) -> None:
    """Raise an error for what Kubernetes' own schema does not allow."""
    import kubernetes_validate  # type: ignore[import-untyped]  # noqa: PLC0415 - without types; of two tests

    kubernetes_validate.validate(resource, KUBERNETES, strict=True)


def container(resource: Resource) -> Resource:
    [only] = pod(resource)["spec"]["containers"]
    found: Resource = only
    return found


def pods_with(labels: dict[str, str]) -> list[Resource]:
    return [w for w in WORKLOADS if labels.items() <= pod(w)["metadata"]["labels"].items()]


@pytest.mark.parametrize("resource", ALL, ids=NAMES)
def test_a_resource_is_valid_by_kubernetes_schema(resource: Resource) -> None:
    if resource["kind"] in CUSTOM:
        assert {"apiVersion", "kind", "metadata", "spec"} == set(resource)
    else:
        check(resource)


def test_every_file_is_in_the_kustomization() -> None:
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}
    assert files == set(KUSTOMIZATION["resources"])
    [dashboards] = KUSTOMIZATION["configMapGenerator"]
    assert {Path(name).name for name in dashboards["files"]} == {
        p.name for p in (FOLDER / "dashboards").iterdir()
    }
    assert all((FOLDER / name).exists() for name in dashboards["files"])


@workload
def test_a_workload_selects_its_own_pods(resource: Resource) -> None:
    if resource["kind"] == "Deployment":
        selector = resource["spec"]["selector"]["matchLabels"]
        assert pods_with(selector) == [resource]


def test_a_service_leads_to_ports_that_its_pods_have() -> None:
    services = [found for found in ALL if found["kind"] == "Service"]
    assert len(services) == 4
    for service in services:
        [target] = pods_with(service["spec"]["selector"])
        names = {port["name"] for port in container(target)["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= names


def test_a_service_monitor_finds_a_service_and_a_port_of_it() -> None:
    services = [found for found in ALL if found["kind"] == "Service"]
    monitors = [found for found in ALL if found["kind"] == "ServiceMonitor"]
    for monitor in monitors:
        wanted = monitor["spec"]["selector"]["matchLabels"]
        [service] = [s for s in services if wanted.items() <= s["metadata"]["labels"].items()]
        ports = {port["name"] for port in service["spec"]["ports"]}
        for endpoint in monitor["spec"]["endpoints"]:
            assert endpoint["port"] in ports
            assert endpoint["authorization"]["credentials"]["name"] in {"orders", "loadtest"}


def test_the_control_port_is_open_to_workers_only() -> None:
    policies = {found["metadata"]["name"]: found for found in ALL if found["kind"] == "NetworkPolicy"}
    policy = policies["master-control"]
    [master] = pods_with(policy["spec"]["podSelector"]["matchLabels"])
    guarded, opened = policy["spec"]["ingress"]
    assert [w["metadata"]["name"] for w in pods_with(guarded["from"][0]["podSelector"]["matchLabels"])] == [
        "workers"
    ]
    served = {port["containerPort"] for port in container(master)["ports"]}
    assert {port["port"] for rule in (guarded, opened) for port in rule["ports"]} == served
    [run] = pods_with(policies["run-control"]["spec"]["podSelector"]["matchLabels"])
    [rule] = policies["run-control"]["spec"]["ingress"]
    assert [w["metadata"]["name"] for w in pods_with(rule["from"][0]["podSelector"]["matchLabels"])] == [
        "run-workers"
    ]
    assert [port["port"] for port in rule["ports"]] == [container(run)["ports"][0]["containerPort"]]


@workload
def test_a_pod_can_do_no_more_than_it_must(resource: Resource) -> None:
    spec = pod(resource)["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    guarded = container(resource)["securityContext"]
    assert guarded["readOnlyRootFilesystem"] is True
    assert guarded["allowPrivilegeEscalation"] is False
    assert guarded["capabilities"] == {"drop": ["ALL"]}
    assert container(resource)["image"] == f"singlesday:{VERSION}"
    mounted = {mount["name"] for mount in container(resource)["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["volumes"]}


@workload
def test_no_secret_is_written_into_a_manifest(resource: Resource) -> None:
    for variable in container(resource).get("env", []):
        if "TOKEN" in variable["name"] or "STORE" in variable["name"]:
            assert "secretKeyRef" in variable["valueFrom"]


def test_generators_keep_their_cores_and_are_never_scaled_in_a_run() -> None:
    assert not [found for found in ALL if found["kind"] == "HorizontalPodAutoscaler"]
    for name in ("workers", "master", "run", "run-workers", "run-relays"):
        [found] = [w for w in WORKLOADS if w["metadata"]["name"] == name]
        limits, requests = (container(found)["resources"][kind]["cpu"] for kind in ("limits", "requests"))
        assert limits == requests
        assert (
            pod(found)["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
        )


def test_the_fleet_waits_for_as_many_workers_as_there_are_pods_and_has_its_plan() -> None:
    [run, workers] = [w for w in WORKLOADS if w["metadata"]["name"] in {"run", "run-workers"}]
    args = container(run)["args"]
    assert args[args.index("--expect-workers") + 1] == str(workers["spec"]["replicas"])
    kustomization = yaml.safe_load((FLEET / "kustomization.yaml").read_text())
    [plan] = kustomization["configMapGenerator"]
    assert all((FLEET / name).is_file() for name in plan["files"])
    assert Plan.load(FLEET / Path(args[1]).name).name == "checkout"
    assert {path.name for path in FLEET.glob("*.yaml")} == {"kustomization.yaml", *kustomization["resources"]}


def test_workers_of_the_fleet_with_relays_dial_relays_and_relays_the_master() -> None:
    [workers, relays] = [w for w in WORKLOADS if w["metadata"]["name"] in {"run-workers", "run-relays"}]
    [patch] = yaml.safe_load((RELAYS / "kustomization.yaml").read_text())["patches"]
    [change] = yaml.safe_load(patch["patch"])
    assert (patch["target"]["name"], change["op"]) == ("run-workers", "replace")
    *path, place = change["path"].strip("/").split("/")
    assert path == ["spec", "template", "spec", "containers", "0", "args"]
    args = container(workers)["args"]
    assert args[int(place) - 1] == "--master"
    name, _, port = change["value"].partition(":")
    [service] = [found for found in ALL if found["kind"] == "Service" and found["metadata"]["name"] == name]
    assert pods_with(service["spec"]["selector"]) == [relays]
    args = container(relays)["args"]
    assert args[args.index("--master") + 1] == "run:5557"
    assert args[args.index("--bind") + 1].endswith(f":{port}")


def built(kubectl: str, folder: Path) -> list[Resource]:
    """What `kubectl apply -k` would send."""
    done = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def test_a_registry_that_is_named_once_is_where_every_image_comes_from(tmp_path: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not on the path")
    for folder in (FLEET, RELAYS):
        shutil.copytree(folder, tmp_path / folder.name)
    named = tmp_path / FLEET.name / "kustomization.yaml"
    tag = "    newTag:"
    named.write_text(named.read_text().replace(tag, f"    newName: registry.example.com/singlesday\n{tag}"))
    sent = [
        found for found in built(kubectl, tmp_path / RELAYS.name) if found["kind"] in {"Deployment", "Job"}
    ]
    assert len(sent) == 3
    assert {container(found)["image"] for found in sent} == {f"registry.example.com/singlesday:{VERSION}"}


def test_no_service_sets_a_variable_that_a_pod_reads() -> None:
    """Kubernetes gives each pod variables named after the namespace's services: `ORDERS_PORT`, for one."""
    [orders] = [w for w in WORKLOADS if w["metadata"]["name"] == "orders"]
    assert pod(orders)["spec"]["enableServiceLinks"] is False


@pytest.mark.parametrize("folder", [FOLDER, FLEET, RELAYS], ids=["all", "fleet", "relays"])
def test_kustomize_builds_what_the_files_say(folder: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not on the path")
    for found in built(kubectl, folder):
        assert found["metadata"]["namespace"] == "singlesday"
        if found["kind"] not in CUSTOM:
            check(found)
