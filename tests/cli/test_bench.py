"""Finding benchmarks by name."""

import pytest

from loadtest.cli.bench import BenchError, command_of, names


def test_an_unknown_benchmark_is_refused_with_what_there_is() -> None:
    with pytest.raises(BenchError, match="histogram"):
        command_of("histogramm", [])


def test_a_benchmark_is_run_from_the_checkout_with_its_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(".")
    assert command_of("schedule", ["--help"])[1:] == ["-m", "benchmarks.schedule", "--help"]


def test_every_benchmark_package_can_be_run() -> None:
    assert {"client", "histogram", "schedule", "service"} <= set(names())
