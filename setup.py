"""What pyproject.toml cannot say: the extensions in Cython, and what `singlesday watch` gives Prometheus.

Extensions are optional: without a compiler everything runs on pure Python, slower. The dashboards are a package of
this repository, not one that users import, so a wheel carries them inside the package (`loadtest/_shipped`).
"""

import runpy
import shutil
from pathlib import Path

import greenlet
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_py import build_py

CORE = Path("loadtest/drive/_core")
IMPORTING = Path("loadtest/importing")
FINGERPRINT = runpy.run_path("loadtest/sources.py")["fingerprint"]


class WithDashboards(build_py):
    """Copies them into what becomes the wheel; an editable installation has them beside it."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode and Path("dashboards").is_dir():  # an image is built without them
            target = Path(self.build_lib) / "loadtest" / "_shipped" / "dashboards"
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree("dashboards", target, ignore=shutil.ignore_patterns("__pycache__"))


core = Extension(
    "loadtest.drive._core.native",
    [str(CORE / "native.pyx")],
    depends=[str(path) for path in sorted(CORE.glob("*.pxi"))],
    include_dirs=[str(Path(greenlet.__file__).parents[1])],  # for greenlet/greenlet.h
    define_macros=[("CORE_SOURCES", f'"{FINGERPRINT(CORE)}"')],
)
line_scan = Extension(
    "loadtest.importing.line_scan",
    [str(IMPORTING / "line_scan.pyx")],
    depends=[str(path) for path in sorted(IMPORTING.glob("*.pxi"))],
    define_macros=[("SCAN_SOURCES", f'"{FINGERPRINT(IMPORTING)}"')],
)
extensions = cythonize([core, line_scan])
for extension in extensions:
    extension.optional = True  # of what is given to `cythonize` it is lost

setup(cmdclass={"build_py": WithDashboards}, ext_modules=extensions)
