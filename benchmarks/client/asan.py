"""The stress of the native core under AddressSanitizer: `python -m benchmarks.client.asan 1000000`.

Compiles the core's generated C once more, with the sanitizer, into a copy of the package, and runs
`benchmarks.client.stress` on it. `PYTHONMALLOC=malloc` lets the sanitizer see every Python object, so that a
reference that was not taken is a report, not a lucky hit. Its checks of the C stack are off: greenlets copy that.
Needs gcc with libasan, and the C that `make setup` leaves behind. Ends with the exit code of the stress.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import greenlet

from loadtest.sources import fingerprint

REPOSITORY = Path(__file__).parents[2]
CORE = Path("loadtest/drive/_core")


def compile_checked(source: Path, target: Path) -> None:
    """Compile the core with the sanitizer. Raises `CalledProcessError`."""
    headers = [sysconfig.get_paths()["include"], str(Path(greenlet.__file__).parents[1])]
    flags = ["-fsanitize=address", "--param", "asan-stack=0", "-fno-omit-frame-pointer", "-O1", "-g"]
    command = ["gcc", "-shared", "-fPIC", "-fwrapv", "-w", *flags, f'-DCORE_SOURCES="{fingerprint(CORE)}"']
    command += [*(f"-I{folder}" for folder in headers), str(source), "-o", str(target)]
    subprocess.run(command, check=True)


def _library(name: str) -> str:
    """Where the compiler has a library. Raises `CalledProcessError`."""
    command = ["gcc", f"-print-file-name={name}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main() -> int:
    """Compile, and run the stress with the arguments given."""
    source = REPOSITORY / CORE / "native.c"
    if not source.is_file():
        print(f"There is no {source}: run touch setup.py && make setup", file=sys.stderr)
        return 2
    # The sanitizer looks for C++'s exceptions, which greenlet throws, before anything has loaded that library.
    libraries = [_library(name) for name in ("libasan.so", "libstdc++.so.6")]
    with tempfile.TemporaryDirectory() as folder:
        for package in ("loadtest", "benchmarks"):
            shutil.copytree(
                REPOSITORY / package,
                Path(folder) / package,
                ignore=shutil.ignore_patterns("*.so", "__pycache__"),
            )
        compile_checked(source, Path(folder) / CORE / f"native{sysconfig.get_config_var('EXT_SUFFIX')}")
        environment = {
            **os.environ,
            "LD_PRELOAD": " ".join(libraries),
            "PYTHONPATH": folder,
            "PYTHONMALLOC": "malloc",
            "LOADTEST_PURE": "0",
            "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0:halt_on_error=1",
        }
        command = [sys.executable, "-m", "benchmarks.client.stress", *sys.argv[1:]]
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
