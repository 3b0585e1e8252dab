"""Which sources a core is built from: an extension that was built from others is not used.

After a `git pull` the built one may be older than what calls it. `setup.py` compiles this fingerprint in.
"""

import hashlib
from pathlib import Path


def fingerprint(folder: Path = Path(__file__).parent) -> str:
    """A digest of the core's Cython sources; "" where there are none, as where a wheel was installed without them."""
    sources = sorted([*folder.glob("*.pyx"), *folder.glob("*.pxi")])
    digest = hashlib.sha256()
    for file in sources:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16] if sources else ""
