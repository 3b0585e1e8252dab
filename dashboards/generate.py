"""`python -m dashboards.generate`: writes each dashboard's JSON; with `--check`, says which are out of date."""

import sys
from pathlib import Path

from dashboards.catalogue import DASHBOARDS
from dashboards.grafana import as_json

FOLDER = Path(__file__).parent / "json"


def main(arguments: list[str]) -> int:
    """The exit code: 1 if `--check` finds a difference."""
    FOLDER.mkdir(exist_ok=True)
    wanted = {FOLDER / f"{dashboard.uid}.json": as_json(dashboard) for dashboard in DASHBOARDS}
    if "--check" not in arguments:
        for path, text in wanted.items():
            path.write_text(text, encoding="utf-8")
        return 0
    stale = [path.name for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    stale += [path.name for path in FOLDER.glob("*.json") if path not in wanted]
    for name in stale:
        sys.stderr.write(f"{name} is out of date: run python -m dashboards.generate\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
