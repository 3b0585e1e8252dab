"""Endpoints that objectives name and nobody requests are told of early, once, with the nearest name."""

from loadtest.judge.never_requested import EarlyWarning, nearest, never_requested
from loadtest.judge.slo_syntax import parse

REQUESTED = ["GET /ok", "POST /orders", "arrival Buyer"]


def test_the_nearest_is_the_name_most_alike_and_no_journey() -> None:
    assert nearest("POST /order", REQUESTED) == "POST /orders"
    assert nearest("arrival Buyers", REQUESTED) != "arrival Buyer"
    assert nearest("POST /order", []) == ""


def test_an_endpoint_that_nobody_requests_is_named_once_however_many_objectives_name_it() -> None:
    slos = [parse("p99(POST /order) < 1s"), parse("errors(POST /order) < 1%"), parse("p99(GET *) < 1s")]
    assert never_requested(slos, REQUESTED) == [
        (
            "an objective names POST /order, and there were no requests to it so far; "
            "the nearest that was requested is POST /orders"
        )
    ]


def test_what_can_be_met_without_a_request_is_not_missed() -> None:
    slos = [parse("requests(GET /old) == 0"), parse("requests(GET /old) < 5"), parse("dropped == 0")]
    assert never_requested(slos, REQUESTED) == []
    assert never_requested([parse("requests(GET /old) > 0")], REQUESTED)


def test_a_word_is_due_early_and_only_once() -> None:
    word = EarlyWarning([parse("p99(GET /old) < 1s")], 60.0)
    assert not word.is_due(4.9)
    assert word.is_due(5.0)
    assert len(word.say(REQUESTED)) == 1
    assert not word.is_due(6.0)


def test_a_short_run_is_told_in_its_middle_and_a_phase_may_still_be_to_come() -> None:
    word = EarlyWarning([parse("p99(GET /old) < 1s"), parse("p99(GET /x) during spike < 1s")], 4.0)
    assert not word.is_due(1.9)
    assert word.is_due(2.0)
    assert [text.split(",")[0] for text in word.say(REQUESTED)] == ["an objective names GET /old"]
