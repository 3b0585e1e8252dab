"""The native core of the client, which is optional: without a compiler everything runs on pure Python, slower."""

from pathlib import Path

import greenlet
from Cython.Build import cythonize
from setuptools import Extension, setup

CORE = Path("loadtest/drive/_core")

setup(
    ext_modules=cythonize(
        Extension(
            "loadtest.drive._core.native",
            [str(CORE / "native.pyx")],
            depends=[str(path) for path in sorted(CORE.glob("*.pxi"))],
            include_dirs=[str(Path(greenlet.__file__).parents[1])],  # for greenlet/greenlet.h
            optional=True,
        )
    )
)
