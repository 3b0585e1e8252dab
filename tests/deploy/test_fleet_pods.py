"""What deploy/k8s/fleet runs in its pods, started here as plain processes: same commands, plan and environment.

Names of services become 127.0.0.1, ports free ones, volumes folders of the test; the plan lies behind symbolic links,
as a ConfigMap's files do.
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from loadtest.measure.run_result import RunResult
from tests.ports import free_port
from tests.system.locust_process import target
from tests.target_service.service_process import ROOT

FOLDER = ROOT / "deploy" / "k8s" / "fleet"
Process = subprocess.Popen[bytes]


def containers() -> dict[str, dict[str, Any]]:
    """The container of each workload, by the workload's name."""
    files = [yaml.safe_load_all((FOLDER / name).read_text()) for name in ("run.yaml", "workers.yaml")]
    workloads = [found for file in files for found in file if found["kind"] in {"Job", "Deployment"}]
    return {w["metadata"]["name"]: w["spec"]["template"]["spec"]["containers"][0] for w in workloads}


def config_map(place: Path) -> None:
    """The plan as Kubernetes mounts it: each file a link into a folder that a link names."""
    [generated] = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["configMapGenerator"]
    (place / "..2026").mkdir(parents=True)
    (place / "..data").symlink_to("..2026")
    for name in generated["files"]:
        (place / "..2026" / name).write_bytes((FOLDER / name).read_bytes())
        (place / name).symlink_to(Path("..data") / name)


def start(container: dict[str, Any], place: Path, control: int, orders: str) -> Process:
    """A pod's process, with a folder of its own for each volume."""
    assert container["command"] == ["singlesday"]
    assert [variable["name"] for variable in container["env"]] == ["LOADTEST_TOKEN"]
    place.mkdir(exist_ok=True)
    words = []
    for word in container["args"]:
        here = word.replace("http://orders:8080", orders).replace("run:5557", f"127.0.0.1:{control}")
        here = here.replace("0.0.0.0:5557", f"0.0.0.0:{control}")
        words.append(re.sub(r"^/(runs|plan)", str(place / r"\1"), here))
    words = ["127.0.0.1" if word == "orders" else word for word in words]
    words += ["--duration", "3s", "--peak-tps", "20"] if words[0] == "run" else []
    with (place / "said").open("wb") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "loadtest.cli.main", *words], cwd=place, stdout=said, stderr=said,
            stdin=subprocess.DEVNULL, env=os.environ | {"LOADTEST_TOKEN": "a-token-of-kubernetes"},
        )  # fmt: skip


@pytest.mark.timeout(600)
@pytest.mark.slow(held_by="test_the_recipe_for_several_machines_step_by_step")
def test_the_job_leads_the_pods_of_the_deployment_and_ends_with_the_verdict(tmp_path: Path) -> None:
    found, control, processes = containers(), free_port(), list[Process]()
    config_map(tmp_path / "job" / "plan")
    with target() as orders:
        try:
            job = start(found["run"], tmp_path / "job", control, orders.url)
            processes.append(job)
            for pod in ("pod-1", "pod-2"):
                processes.append(start(found["run-workers"], tmp_path / pod, control, orders.url))
            assert job.wait(200) in {0, 11}, (tmp_path / "job" / "said").read_text()
            assert [process.wait(100) for process in processes[1:]] == [0, 0]
        finally:
            for process in processes:
                process.kill()
                process.wait()
    [path] = (tmp_path / "job" / "runs").glob("*/result.json")
    result = RunResult.read(path)
    assert len(result.generator.per_worker) == 2
    assert (result.arrivals.planned, result.arrivals.lost, result.arrivals.failed) == (
        result.arrivals.ok,
        0,
        0,
    )
