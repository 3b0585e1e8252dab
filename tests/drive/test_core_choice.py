"""Which core is chosen, and what is said where it is not the native one."""

import logging
from pathlib import Path

import pytest

from loadtest.drive import _core
from loadtest.drive._core.sources import fingerprint
from tests.required import native_core

native = native_core()


def test_the_core_is_built_from_these_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(_core.PURE_VARIABLE, raising=False)
    assert fingerprint() == native.SOURCES
    assert _core._reason() == ""


def test_a_core_that_was_built_from_other_sources_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(_core.PURE_VARIABLE, raising=False)
    monkeypatch.setattr(_core, "fingerprint", lambda: "newer")
    with caplog.at_level(logging.WARNING):
        reason = _core._reason()
    assert "built from other sources" in reason
    assert "make setup" in caplog.text
    assert len(caplog.messages) == 1


def test_where_there_are_no_sources_any_core_will_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(_core.PURE_VARIABLE, raising=False)
    monkeypatch.setattr(_core, "fingerprint", lambda: fingerprint(tmp_path))
    assert _core._reason() == ""


def test_a_fingerprint_tells_each_change(tmp_path: Path) -> None:
    seen = [fingerprint(tmp_path)]
    for name, text in (("a.pyx", ""), ("a.pyx", "x"), ("b.pxi", "x"), ("c.py", "x")):
        (tmp_path / name).write_text(text)
        seen.append(fingerprint(tmp_path))
    assert seen[0] == ""
    assert len(set(seen)) == 4
    assert seen[-1] == seen[-2], "Python needs no building"
