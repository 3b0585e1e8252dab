"""The native core, which is optional: without a compiler everything runs, slower, on pure Python."""

from pathlib import Path

import greenlet
from Cython.Build import cythonize
from setuptools import Extension, setup

CORE = "loadtest/drive/_core"

setup(
    ext_modules=cythonize(
        Extension(
            "loadtest.drive._core.native",
            [f"{CORE}/native.pyx"],
            depends=[str(path) for path in sorted(Path(CORE).glob("*.pxi"))],
            include_dirs=[str(Path(greenlet.__file__).parents[1])],
            optional=True,
        )
    )
)
