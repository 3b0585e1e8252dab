"""`singlesday import log` as people type it: what it says, what it writes, and what it refuses."""

import json
import shlex
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from loadtest.cli.importing import plan_name, write
from loadtest.cli.main import app
from loadtest.configuration.check import check
from loadtest.configuration.inspection import inspect_apart
from loadtest.configuration.run_config import RunConfig
from loadtest.importing.import_error import ImportingError
from loadtest.importing.log_plan import Written
from loadtest.plan.plan_file import Plan
from tests.importing.logs import LINES, Logged

START_S = 1_762_819_140


def imported_from_input(data: bytes, *arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["import", *map(str, arguments)], input=data)


def imported(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["import", *map(str, arguments)])


@pytest.fixture
def access_log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    lines = [
        LINES["combined"](Logged(START_S + second, method, target))
        for second in range(60)
        for method, target in (("GET", f"/products/sku-{second % 30:06d}?q=a"), ("POST", "/orders"))
    ]
    path.write_text("\n".join([*lines[:50], "broken", *lines[50:]]) + "\n")
    return path


def test_a_log_becomes_a_plan_and_a_script_that_can_be_run(access_log: Path) -> None:
    out = access_log.parent / "again"
    result = imported("log", access_log, "--out", out)
    assert result.exit_code == 0, result.output
    path = out / "access.toml"
    plan = Plan.load(path)
    assert plan.duration_s == 60
    assert [scenario.per_transaction for scenario in plan.scenarios] == [1.0, 1.0]
    check(RunConfig(plan=plan, plan_name=str(path), conducted=True), inspect_apart)


def test_what_was_dropped_or_guessed_is_said_and_stands_at_the_head_of_the_plan(access_log: Path) -> None:
    result = imported("log", access_log, "--out", access_log.parent / "again")
    head = (access_log.parent / "again" / "access.toml").read_text().partition("\nname")[0]
    for said in (
        "1 broken line left out",
        f"{access_log}:51",
        "each POST /orders is one transaction",
        "has no body, since a log has none",
    ):
        assert said in result.output
        assert said in head.replace("\n#    ", " ")


def test_replaying_exactly_needs_no_fit(access_log: Path) -> None:
    out = access_log.parent / "again"
    assert imported("log", access_log, "--out", out, "--exact", "--name", "replay").exit_code == 0
    assert Plan.load(out / "replay.toml").profile().cumulative(7) == pytest.approx(7)
    assert (out / "replay-data" / "curve.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["--format", "iis"],
            "--format: expected one of combined, nginx-json, envoy, envoy-json, alb, ",
        ),
        (["--format", "alb"], "access.log:1: expected most lines to be alb"),
        (["--name", "a-b"], '--name: expected a Python module name (letters, digits and _), got "a-b"'),
        (["--transaction", "GET /x"], "--transaction: expected one of GET /products/[sku], POST /orders"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(access_log: Path, arguments: list[str], said: str) -> None:
    result = imported("log", access_log, "--out", access_log.parent / "again", *arguments)
    assert result.exit_code == 2
    assert said in result.output
    assert not (access_log.parent / "again").exists()


def test_a_log_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = imported("log", tmp_path / "none.log", "--out", tmp_path)
    assert result.exit_code == 2
    assert "none.log: cannot be read: No such file or directory" in result.output


@pytest.mark.parametrize("there", ["access.toml", "access.py", "access-data"])
def test_nothing_is_overwritten(access_log: Path, there: str) -> None:
    (access_log.parent / there).write_text("theirs")
    result = imported("log", access_log, "--out", access_log.parent)
    assert result.exit_code == 2
    assert there in result.output
    assert (access_log.parent / there).read_text() == "theirs"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("access.log.1.gz", "access"),
        ("2025-11-11.log", "traffic_2025_11_11"),
        ("json.log", "json_traffic"),
        ("-.log", "traffic"),
    ],
)
def test_a_plan_is_called_by_its_file_as_a_module_can_be(file: str, name: str) -> None:
    assert plan_name(None, Path(file)) == name


RECORDED = Path(__file__).parents[1] / "importing" / "recorded" / "shop.har"
OPENAPI = json.dumps(
    {
        "openapi": "3.1.0",
        "info": {"title": "x", "version": "1"},
        "paths": {
            "/orders": {
                "post": {
                    "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
                    "responses": {"201": {"description": "ok"}},
                }
            }
        },
    }
)
DOORS = {
    "har": RECORDED.read_text(encoding="utf-8"),
    "curl": "curl http://127.0.0.1:8080/orders -H 'Authorization: Bearer abc' --json '{\"buyer_id\": 1}'",
    "postman": '{"item": [{"request": {"method": "GET", "url": "http://127.0.0.1:8080/products/sku-000001"}}]}',
    "openapi": OPENAPI,
}


@pytest.mark.parametrize("door", DOORS)
def test_what_comes_out_of_every_door_can_be_run(tmp_path: Path, door: str) -> None:
    (tmp_path / "shop.txt").write_text(DOORS[door])
    result = imported(door, tmp_path / "shop.txt", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "the rate is guessed" in result.output
    path = tmp_path / "out" / "shop.toml"
    assert "the rate is guessed" in path.read_text()
    check(RunConfig(plan=Plan.load(path), plan_name=str(path), conducted=True), inspect_apart)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("text", ["", "\x00", "{}", "[1]"])
def test_what_is_no_such_file_is_one_sentence_and_exit_code_2(tmp_path: Path, door: str, text: str) -> None:
    (tmp_path / "shop.txt").write_text(text)
    result = imported(door, tmp_path / "shop.txt", "--out", tmp_path / "out")
    assert result.exit_code == 2, result.output
    assert f"error: {tmp_path / 'shop.txt'}" in result.output.replace("\n", "")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("door", DOORS)
def test_a_file_that_is_not_there_is_named_at_every_door(tmp_path: Path, door: str) -> None:
    result = imported(door, tmp_path / "none.txt", "--out", tmp_path)
    assert result.exit_code == 2
    assert "none.txt: cannot be read: No such file or directory" in result.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["openapi", "http://127.0.0.1:1/openapi.json"],
            "http://127.0.0.1:1/openapi.json: cannot be fetched",
        ),
        (["prometheus", "http://127.0.0.1:1", "up"], "http://127.0.0.1:1: cannot be fetched"),
        (["prometheus", "127.0.0.1:9090", "up"], "expected an address with http://"),
        (["prometheus", "ftp://emma:pw@127.0.0.1", "up"], 'with http:// or https://, got "ftp://127.0.0.1"'),
        (
            ["prometheus", "http://emma:p/w@127.0.0.1:1", "up"],
            "error: http://***: expected an address as SCHEME",
        ),
        (["openapi", "http://emma:p/w@127.0.0.1:1/api"], "error: http://***: expected an address as SCHEME"),
        (["prometheus", "http://127.0.0.1:1", "up", "--step", "x"], "--step: expected a duration"),
    ],
)
def test_an_address_that_cannot_be_asked_is_named(tmp_path: Path, arguments: list[str], said: str) -> None:
    result = imported(*arguments, "--out", tmp_path)
    assert result.exit_code == 2
    assert said in result.output.replace("\n", "")


def test_whatever_is_nested_too_deeply_to_be_looked_through_is_one_sentence_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(text: str, source: str) -> list[object]:
        return endless(text, source)

    monkeypatch.setattr("loadtest.importing.curl_command.read_curl", endless)
    (tmp_path / "shop.txt").write_text(DOORS["curl"])
    result = imported("curl", tmp_path / "shop.txt", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "error: what was read is nested too deeply to make a script of" in result.output
    assert not (tmp_path / "out").exists()


def test_what_was_read_moves_no_cursor_and_ends_no_line_of_what_is_said(tmp_path: Path) -> None:
    collection = {"item": [{"request": {"method": "GET", "url": "http://127.0.0.1/{{x\ny\x1b[2Jz}}"}}]}
    (tmp_path / "shop.json").write_text(json.dumps(collection))
    result = imported("postman", tmp_path / "shop.json", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "{{x y\\x1b[2Jz}} is set nowhere in the collection" in result.output


def test_commands_from_standard_input_are_read_or_refused(tmp_path: Path) -> None:
    good = imported_from_input(b"\xef\xbb\xbfcurl http://127.0.0.1/a", "curl", "-", "--out", tmp_path)
    assert good.exit_code == 0, good.output
    bad = imported_from_input(b"curl \xff http://127.0.0.1/a", "curl", "-", "--out", tmp_path / "bad")
    assert bad.exit_code == 2
    assert "error: -: expected UTF-8" in bad.output


def test_a_script_that_is_no_python_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ImportingError, match=r"^it.py: what was read makes no Python script.* line 2: "):
        write(tmp_path / "out", "it", Written("", "x = 1\nf'{row['a']}'\n", [], []))
    assert not (tmp_path / "out").exists()


def test_half_a_character_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    auth = {"type": "apikey", "apikey": {"key": "\ud800", "in": "query"}}
    request = {"method": "POST", "url": "http://h/", "auth": auth}
    (tmp_path / "shop.json").write_text(json.dumps({"item": [{"request": request}]}))
    result = imported("postman", tmp_path / "shop.json", "--out", tmp_path / "out")
    assert result.exit_code == 2, result.output
    assert "half a character, which nobody can send: '\\ud800'" in result.output.replace("\n", " ")
    assert not (tmp_path / "out").exists()


def test_a_name_in_a_document_begins_no_line_of_the_plan_or_the_console(tmp_path: Path) -> None:
    body = {"password\nauditor = 'os:system'\x1b[2J": "s3cret"}
    (tmp_path / "shop.txt").write_text(f"curl http://h/ --json {shlex.quote(json.dumps(body))}")
    result = imported("curl", tmp_path / "shop.txt", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert "\nauditor" not in result.output
    assert "auditor" not in tomllib.loads((tmp_path / "shop.toml").read_text())
