"""Draw the passwords that docker-compose.yml needs: `.env`, and files in `secrets/` for programs that read files.

`make compose-env` runs it, with any Python 3 and nothing installed. What is there stays: a name in `.env` that has a
value keeps it, and the files follow `.env`.
"""

import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
IN_FILES = ("ORDERS_DB_PASSWORD", "ORDERS_ADMIN_TOKEN", "LOADTEST_METRICS_TOKEN", "GRAFANA_ADMIN_PASSWORD")
"""Read from a file by PostgreSQL, Prometheus and Grafana; each file is named like the variable, in small letters."""


def filled(text: str) -> str:
    """The lines of an environment file with a value drawn for each name that has none."""
    return (
        "\n".join(
            f"{line}{secrets.token_urlsafe(24)}" if _is_empty(line) else line for line in text.splitlines()
        )
        + "\n"
    )


def values(text: str) -> dict[str, str]:
    """Names and values of an environment file without quotes."""
    pairs = [line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#")]
    return {name.strip(): value.strip() for name, value in pairs}


def _is_empty(line: str) -> bool:
    return line.rstrip().endswith("=") and not line.startswith("#")


def make(root: Path) -> None:
    """Write both under a folder that holds `.env.example`."""
    environment, folder = root / ".env", root / "secrets"
    source = environment if environment.exists() else root / ".env.example"
    text = filled(source.read_text(encoding="utf-8"))
    environment.touch(mode=0o600)
    environment.write_text(text, encoding="utf-8")
    folder.mkdir(mode=0o700, exist_ok=True)
    known = values(text)
    for name in IN_FILES:
        if name not in known:
            sys.exit(f"{environment}: {name} is missing; .env.example has all names")
        path = folder / name.lower()
        path.unlink(missing_ok=True)  # whoever may not write it may still replace it
        path.write_text(known[name], encoding="utf-8")
        path.chmod(
            0o444
        )  # containers run as users of their own; the folder is closed to those of this machine


if __name__ == "__main__":
    make(ROOT)
    sys.stdout.write("wrote .env and secrets/: `docker compose up` can start\n")
