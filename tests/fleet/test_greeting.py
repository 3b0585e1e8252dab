"""What a master answers to workers that greet it, and what a worker makes of that."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.fleet.build import build_of, differences
from loadtest.fleet.greeting import (
    MOST_SENT_BYTES,
    Chunk,
    Greeter,
    Greeting,
    OwnFile,
    Refusal,
    Want,
    Welcome,
    decode_answer,
    encode,
    is_safe,
    plan_files_of,
)
from loadtest.fleet.joining import find_own, home_in

BUILD = {"singlesday": "0.2.0", "locust": "2.47.0"}


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    (tmp_path / "load" / "data").mkdir(parents=True)
    (tmp_path / "load" / "shop.toml").write_text("name = 'shop'")
    (tmp_path / "load" / "data" / "skus.csv").write_bytes(b"sku\n" + b"x" * (2 << 20))
    (tmp_path / "elsewhere.csv").write_text("sku\n")
    return tmp_path / "load" / "shop.toml"


def greeter(plan: Path) -> Greeter:
    found = Greeter(BUILD)
    found.plan_files = plan_files_of(
        plan, [plan.parent / "data" / "skus.csv", plan.parents[1] / "elsewhere.csv"]
    )
    return found


def test_a_worker_like_the_master_is_welcome_and_gets_each_file_whole(plan: Path) -> None:
    door = greeter(plan)
    welcome = door.answer(encode(Greeting(BUILD, "host-2")))
    assert isinstance(welcome, Welcome)
    assert (welcome.plan, [file.name for file in welcome.files]) == (
        "shop.toml",
        ["shop.toml", "data/skus.csv"],
    )
    assert [Path(own.path).name for own in welcome.own] == ["elsewhere.csv"]
    got = b""
    while len(got) < welcome.files[1].size_bytes:
        chunk = door.answer(encode(Want("data/skus.csv", len(got))))
        assert isinstance(chunk, Chunk)
        got += chunk.data
    assert got == (plan.parent / "data" / "skus.csv").read_bytes()


def test_a_plan_that_is_a_link_is_sent_under_the_name_that_is_announced(plan: Path) -> None:
    link = plan.parent / "today.toml"
    link.symlink_to(plan.name)
    sent = plan_files_of(link, [plan.parent / "data" / "skus.csv"])
    assert (sent.plan, [name for name, _place in sent.paths]) == (
        "today.toml",
        ["today.toml", "data/skus.csv"],
    )


def test_nothing_is_given_away_but_the_plans_files(plan: Path) -> None:
    for name in ("../elsewhere.csv", "/etc/passwd", "secret", ""):
        assert isinstance(greeter(plan).answer(encode(Want(name, 0))), Refusal)


def test_a_worker_that_comes_while_the_plan_is_looked_at_gets_no_answer_yet() -> None:
    assert Greeter(BUILD).answer(encode(Greeting(BUILD, "host-2"))) is None


def test_a_worker_of_another_release_is_told_what_to_install_before_anything_is_sent() -> None:
    refused = Greeter(BUILD).answer(encode(Greeting(BUILD | {"singlesday": "0.1.0"}, "host-2")))
    assert isinstance(refused, Refusal)
    assert (
        "host-2 has singlesday 0.1.0 instead of the master's 0.2.0: pip install singlesday-loadtest==0.2.0"
        in refused.reason
    )


@given(st.binary(max_size=200) | st.none() | st.text())
def test_whatever_is_said_is_answered_with_a_refusal_and_raises_nothing(frame: object) -> None:
    assert isinstance(Greeter(BUILD).answer(frame), Refusal)


def test_a_file_that_has_gone_is_refused_by_name(plan: Path) -> None:
    door = greeter(plan)
    (plan.parent / "data" / "skus.csv").unlink()
    refused = door.answer(encode(Greeting(BUILD, "host-2")))
    assert isinstance(refused, Refusal)
    assert "skus.csv: cannot be read on the master's machine" in refused.reason
    assert decode_answer(encode(refused)) == refused


def test_a_large_file_has_to_be_there_and_is_linked_to_where_the_script_looks(
    plan: Path, tmp_path: Path
) -> None:
    large = plan.parent / "large.csv"
    with large.open("wb") as file:
        file.truncate(MOST_SENT_BYTES + 1)
    [own] = plan_files_of(plan, [large]).own
    (tmp_path / "there").mkdir()
    find_own(own, tmp_path / "there", tmp_path / "there")
    assert (tmp_path / "there" / "large.csv").resolve() == large
    with large.open("ab") as file:
        file.write(b"more")
    with pytest.raises(Exception, match=r"large\.csv: expected the same 67,108,865 bytes"):
        find_own(own, tmp_path / "there", tmp_path / "there")
    large.unlink()
    with pytest.raises(Exception, match=r"large\.csv: the plan needs this file"):
        find_own(own, tmp_path / "there", tmp_path / "there")


def test_a_file_outside_the_plans_folder_is_found_where_the_script_looks_by_dots(
    plan: Path, tmp_path: Path
) -> None:
    (plan.parent / "linked.csv").symlink_to(tmp_path / "elsewhere.csv")
    wanted = [plan.parent / ".." / "elsewhere.csv", plan.parent / "data/../linked.csv"]
    own = plan_files_of(plan, wanted).own
    assert [file.name for file in own] == ["../elsewhere.csv", "linked.csv"]
    own = (*own, OwnFile(own[0].path, own[0].size_bytes, "/above.csv"))
    there = tmp_path / "there"
    home = home_in(there, Welcome("shop.toml", [], list(own)))
    for file in own:
        find_own(file, there, home)
    for seen in ("../elsewhere.csv", "linked.csv"):
        assert (home / seen).resolve() == tmp_path / "elsewhere.csv"
    assert {path.name for path in there.rglob("*.csv")} == {"elsewhere.csv", "linked.csv"}


@pytest.mark.parametrize(
    ("name", "safe"), [("a/b.py", True), ("../b", False), ("/b", False), ("a/../../b", False), ("", False)]
)
def test_a_file_is_put_nowhere_but_below_the_folder(name: str, safe: bool) -> None:
    assert is_safe(name) is safe


def test_what_both_are_made_of_is_compared_and_what_one_alone_knows_is_not() -> None:
    master = BUILD | {"script shop.py": "1"}
    assert differences(master, master) == differences(master, BUILD) == differences({}, BUILD) == ""
    assert "a shop.py that differs from the master's" in differences(master, master | {"script shop.py": "2"})
    assert "an older singlesday instead of the master's 0.2.0" in differences(BUILD, {})


def test_a_process_knows_its_own_releases_and_scripts() -> None:
    assert {"singlesday", "locust", "script test_greeting.py"} == set(build_of([__name__, "nowhere"]))
