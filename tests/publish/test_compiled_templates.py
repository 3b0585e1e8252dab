"""Templates are compiled once for all processes, and never taken for what they are not."""

from pathlib import Path

import jinja2
import pytest

from loadtest.publish.compiled_templates import CompiledTemplates


def rendered(text: str, folder: Path, settings: Path = Path(__file__)) -> str:
    """What a template says in a process of its own, as it were."""
    environment = jinja2.Environment(
        loader=jinja2.DictLoader({"page": text}),
        autoescape=True,
        bytecode_cache=CompiledTemplates(settings, folder),
    )
    return environment.get_template("page").render(name="Ann")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    assert rendered("Hello {{ name }}", tmp_path / "kept") == "Hello Ann"
    return tmp_path / "kept"


def test_a_template_is_compiled_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(jinja2.Environment, "_generate")
    assert rendered("Hello {{ name }}", folder) == "Hello Ann"


def test_one_that_has_changed_is_compiled_anew_and_takes_the_place_of_the_old(folder: Path) -> None:
    assert rendered("Good day {{ name }}", folder) == "Good day Ann"
    assert len(list(folder.iterdir())) == 1


def test_other_settings_have_templates_of_their_own(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "settings.py"
    other.write_text("autoescape = False")
    assert rendered("Hello {{ name }}", folder, other) == "Hello Ann"
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("cut", [0, 3, 30, 100, -1], ids=lambda cut: f"the first {cut} bytes")
def test_what_is_no_template_is_compiled_anew(folder: Path, cut: int) -> None:
    (kept,) = folder.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[:cut])
    assert rendered("Hello {{ name }}", folder) == "Hello Ann"
    assert kept.read_bytes() == whole


def test_nothing_is_written_where_python_writes_none_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    assert rendered("Hello {{ name }}", tmp_path / "kept") == "Hello Ann"
    assert not (tmp_path / "kept").exists()


def test_where_nothing_can_be_written_it_is_compiled_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    (tmp_path / "kept").write_text("a file where the folder should be")
    for _ in range(2):
        assert rendered("Hello {{ name }}", tmp_path / "kept") == "Hello Ann"
