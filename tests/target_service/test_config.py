"""Flags and environment."""

from pathlib import Path

import pytest

from target_service.config import OPTIONS, parse


def test_defaults_are_those_of_the_design() -> None:
    config = parse([], {})
    assert (config.host, config.port, config.admin_port, config.workers) == ("127.0.0.1", 8080, 8081, 1)
    assert (config.store, config.stock) == ("sqlite:///orders.db", 1_000_000)


def test_a_flag_wins_over_the_environment_which_wins_over_the_default() -> None:
    assert parse(["--port", "1"], {"ORDERS_PORT": "2"}).port == 1
    assert parse([], {"ORDERS_PORT": "2"}).port == 2


def test_every_setting_has_a_flag_and_a_variable() -> None:
    for option in OPTIONS:
        value = "yes" if option.name == "enable_faults" else str(option.default)
        if option.name == "store_file":
            continue  # it is read, and stands for the store: below
        assert getattr(parse([option.flag, value], {}), option.name) == option.read(value)
        assert getattr(parse([], {option.variable: value}), option.name) == option.read(value)


def test_a_switch_needs_no_value() -> None:
    assert parse(["--enable-faults"], {}).enable_faults
    assert not parse([], {}).enable_faults


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--port", "http"], "--port: expected 0 to 65535, got 'http'; ORDERS_PORT sets it, too"),
        (["--port", "8e3"], "--port: expected 0 to 65535, got '8e3'"),
        (["--port", "70000"], "--port: expected 0 to 65535, got '70000'"),
        (["--workers", "0"], "--workers: expected 1 to 64"),
        (["--stock", "-1"], "--stock: expected 0"),
        (["--store", "mysql://x/y"], "--store: expected sqlite:///FILE or postgresql://"),
        (["--store", "sqlite:///"], "--store: expected sqlite:///FILE"),
        (["--drain-s", "nan"], "--drain-s: expected 0.1 to 3600 seconds, got 'nan'"),
        (["--enable-faults=maybe"], "--enable-faults: expected yes or no, got 'maybe'"),
        (["--drill", "x.json"], "--drill needs --enable-faults"),
        (["--nonsense"], "--nonsense"),
        (
            ["--admin-host", "0.0.0.0"],
            "--admin-host: other machines reach 0.0.0.0, so it needs --admin-token",
        ),
    ],
)
def test_a_bad_flag_ends_with_two_and_is_named(
    flags: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(flags, {})
    assert ended.value.code == 2
    assert named in capsys.readouterr().err


def test_a_bad_variable_ends_with_two_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse([], {"ORDERS_WORKERS": "many"})
    assert ended.value.code == 2
    assert "--workers: expected 1 to 64, got 'many'; ORDERS_WORKERS sets it, too" in capsys.readouterr().err


def test_secrets_are_masked() -> None:
    shown = parse(
        ["--admin-token", "sesame", "--store", "postgresql://shop:p%40ss@db:5432/orders"], {}
    ).without_secrets()
    assert shown["admin_token"] == "set"  # noqa: S105 - that is the mask
    assert shown["store"] == "postgresql://***@db:5432/orders"


def test_the_store_may_stand_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "store"
    file.write_text("postgresql://u:sesame9@h/d\n")
    assert parse(["--store-file", str(file)], {}).store == "postgresql://u:sesame9@h/d"
    assert parse([], {"ORDERS_STORE_FILE": str(file)}).store == "postgresql://u:sesame9@h/d"
    for flag in (["--store", "sqlite:///a.db"], ["--store=sqlite:///a.db"]):
        assert parse(flag, {"ORDERS_STORE_FILE": str(file)}).store == "sqlite:///a.db", "a flag goes first"
    file.write_text("mysql://u:sesame9@h/d")
    for flags in (["--store-file", str(file)], ["--store-file", str(tmp_path / "none")]):
        with pytest.raises(SystemExit) as ended:
            parse(flags, {})
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert f"--store-file: {flags[1]}" in said
        assert "sesame9" not in said


DSNS_WITH_A_SECRET = [
    "mysql://u:sesame9@h/d",
    "postgresql+asyncpg://u:sesame9@h/d",
    "postgresql://[u:sesame9@h/d",
    "postgresql:/u:sesame9@h/d",
    "postgresql:u:sesame9@h/d",
    "u:sesame9@h/d",
    "sesame9",
]


@pytest.mark.parametrize("dsn", DSNS_WITH_A_SECRET)
@pytest.mark.parametrize("door", ["flag", "one word", "misspelt", "variable", "no flag"])
def test_no_error_repeats_a_dsn(dsn: str, door: str, capsys: pytest.CaptureFixture[str]) -> None:
    flags = {
        "flag": ["--store", dsn],
        "one word": [f"--store={dsn}"],
        "misspelt": [f"--stoer={dsn}"],
        "no flag": [dsn],
    }.get(door, [])
    with pytest.raises(SystemExit) as ended:
        parse(flags, {"ORDERS_STORE": dsn} if door == "variable" else {})
    assert ended.value.code == 2
    assert "sesame9" not in capsys.readouterr().err


def test_the_help_says_where_a_password_belongs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--help"], {})
    said = " ".join(capsys.readouterr().out.split())
    assert "ORDERS_STORE" in said
    assert "--store-file" in said
    assert "put one with a password into the environment or a file" in said


@pytest.mark.parametrize("wrong", ['"kind": "dely"', '"kind": "delay", "route": "orders"'])
def test_a_drill_that_nothing_could_meet_is_refused_with_what_can(
    wrong: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drill = tmp_path / "drill.json"
    drill.write_text(f'{{"faults": [{{{wrong}}}]}}')
    with pytest.raises(SystemExit) as ended:
        parse(["--enable-faults", "--drill", str(drill)], {})
    assert ended.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"--drill: {drill}: Invalid enum value" in said
    assert "kinds of fault: delay, error" in said
    assert "routes: create_order, create_checkout" in said
