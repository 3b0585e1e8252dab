"""Finding benchmarks by name."""

import pytest
from typer.testing import CliRunner

from loadtest.cli.bench import BenchError, command_of, help_without_flags, listed, names
from loadtest.cli.main import app


def test_an_unknown_benchmark_is_refused_with_what_there_is() -> None:
    with pytest.raises(BenchError, match="histogram"):
        command_of("histogramm", [])


def test_a_benchmark_is_run_from_the_checkout_with_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(".")
    assert command_of("schedule", ["--help"])[1:] == ["-m", "benchmarks.schedule", "--help"]


def test_every_benchmark_package_can_be_run() -> None:
    assert {"client", "histogram", "schedule", "service"} <= set(names())


@pytest.mark.parametrize("arguments", [["bench"], ["bench", "--help"]])
def test_the_list_of_benchmarks_says_what_each_measures(arguments: list[str]) -> None:
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 0
    for name in names():
        line = next(line for line in ended.output.splitlines() if line.startswith(f"  {name} "))
        assert line.removeprefix(f"  {name}").strip(), f"{name} has no words"


@pytest.mark.parametrize("name", ["import_log", "histogram", "relays"])
def test_help_of_a_benchmark_without_flags_is_its_docstring_and_measures_nothing(name: str) -> None:
    ended = CliRunner().invoke(app, ["bench", name, "--help"])
    assert ended.exit_code == 0, ended.output
    assert len(ended.output) > 40


def test_a_benchmark_with_flags_prints_its_own_help() -> None:
    assert help_without_flags("client") == help_without_flags("master") == ""


def test_the_list_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, listed().splitlines())) <= 80
