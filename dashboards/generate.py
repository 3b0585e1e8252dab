"""`python -m dashboards.generate`: writes what is generated; with `--check`, says what is out of date.

Each dashboard's JSON, the copies that kustomize needs below its own folder, and the rules once more as the
Prometheus operator's `PrometheusRule`, and the metric reference.
"""

import sys
from pathlib import Path

import yaml

from dashboards.catalogue import DASHBOARDS
from dashboards.grafana import as_json
from dashboards.metric_reference import reference

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "dashboards" / "json"
KUBERNETES = ROOT / "deploy" / "k8s"
RULES = ("recording.yml", "alerts.yml")
NOTE = "# Generated from dashboards/prometheus by python -m dashboards.generate\n"


def outputs() -> dict[Path, str]:
    """Every generated file and what belongs in it."""
    texts = {f"{dashboard.uid}.json": as_json(dashboard) for dashboard in DASHBOARDS}
    folders = (FOLDER, KUBERNETES / "dashboards")
    wanted = {folder / name: text for folder in folders for name, text in texts.items()}
    wanted[ROOT / "docs" / "metrics.md"] = reference()
    wanted[KUBERNETES / "alert-rules.yaml"] = NOTE + prometheus_rule()
    return wanted


def prometheus_rule() -> str:
    """Our recording and alert rules as one resource."""
    files = [ROOT / "dashboards" / "prometheus" / name for name in RULES]
    groups = [group for file in files for group in yaml.safe_load(file.read_text(encoding="utf-8"))["groups"]]
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "singlesday"},
        "spec": {"groups": groups},
    }
    return yaml.safe_dump(resource, sort_keys=False, width=110)


def main(arguments: list[str]) -> int:
    """The exit code: 1 if `--check` finds a difference."""
    wanted = outputs()
    if "--check" not in arguments:
        for path, text in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return 0
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    stale += [path for path in FOLDER.glob("*.json") if path not in wanted]
    for path in stale:
        sys.stderr.write(f"{path.relative_to(ROOT)} is out of date: run python -m dashboards.generate\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
