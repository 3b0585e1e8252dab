"""Which core is chosen, and what is said where it is not the native one."""

import logging
from pathlib import Path

import pytest

from loadtest.drive import _core
from loadtest.sources import PURE_VARIABLE, fingerprint, why_pure
from tests.required import native_core

native = native_core()


CORE = "loadtest.drive._core.native"
FOLDER = Path(_core.__file__).parent


def test_the_core_is_built_from_these_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PURE_VARIABLE, raising=False)
    assert fingerprint(FOLDER) == native.SOURCES
    assert why_pure(CORE, FOLDER) == ""


def test_a_core_that_was_built_from_other_sources_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.delenv(PURE_VARIABLE, raising=False)
    (tmp_path / "newer.pyx").touch()
    with caplog.at_level(logging.WARNING):
        reason = why_pure(CORE, tmp_path)
    assert "built from other sources" in reason
    assert "make setup" in caplog.text
    assert len(caplog.messages) == 1


def test_where_there_are_no_sources_any_core_will_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(PURE_VARIABLE, raising=False)
    assert why_pure(CORE, tmp_path) == ""


def test_a_fingerprint_tells_each_change(tmp_path: Path) -> None:
    seen = [fingerprint(tmp_path)]
    for name, text in (("a.pyx", ""), ("a.pyx", "x"), ("b.pxi", "x"), ("c.py", "x")):
        (tmp_path / name).write_text(text)
        seen.append(fingerprint(tmp_path))
    assert seen[0] == ""
    assert len(set(seen)) == 4
    assert seen[-1] == seen[-2], "Python needs no building"
