"""Whether an extension in Cython is there and built from these sources; where it is not, the same in Python runs.

After a `git pull` a built one may be older than what calls it, so `setup.py` compiles a fingerprint of them in.
"""

import hashlib
import logging
import os
from importlib import import_module
from pathlib import Path
from typing import Final

PURE_VARIABLE: Final = "LOADTEST_PURE"
"""Set to 1, it chooses Python everywhere."""


def fingerprint(folder: Path) -> str:
    """A digest of a folder's Cython sources; "" where there are none, as where a wheel was installed without them."""
    sources = sorted([*folder.glob("*.pyx"), *folder.glob("*.pxi")])
    digest = hashlib.sha256()
    for file in sources:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16] if sources else ""


def why_pure(module: str, folder: Path) -> str:
    """Why the extension `module`, whose sources are in `folder`, is not used, for people; "" if it is."""
    if os.environ.get(PURE_VARIABLE, "0") not in ("", "0"):
        return f"{PURE_VARIABLE} is set"
    try:
        native = import_module(module)
    except ImportError as error:
        return f"it is not built ({error})"
    if fingerprint(folder) not in ("", getattr(native, "SOURCES", None)):
        why = (
            "it was built from other sources than these; for the native one run: touch setup.py && make setup"
        )
        logging.getLogger(__name__).warning("Pure Python takes the place of %s: %s", module, why)
        return why
    return ""
