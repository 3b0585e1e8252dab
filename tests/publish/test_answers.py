"""The first screen's three answers."""

from loadtest.judge.slo import evaluate
from loadtest.judge.slo_syntax import parse
from loadtest.publish.answers import answers, broken, peak, trust
from tests.publish.sample_result import Scene, a_failed_run, an_empty_run, sample_result


def test_a_good_run_broke_nothing() -> None:
    result = sample_result(Scene(error_share=0.0, peak_tps=300.0))
    result.slo = [evaluate(parse("errors(*) < 1%"), result)]
    result.verdict = "PASS"
    assert [answer.state for answer in answers(result)] == ["good", "good", "good"]
    assert broken(result).value == "Nothing"


def test_what_broke_is_told_by_time_and_with_it() -> None:
    said = broken(a_failed_run())
    assert said.state == "bad"
    assert said.value.startswith("From ")
    text = " ".join(said.lines)
    assert "x status-503 at POST /orders." in text or "x timeout-read" in text
    times = [line.split(":")[0] for line in said.lines[:-1]]
    assert all(time.endswith(" s") for time in times)


def test_a_peak_that_was_missed_is_a_no_with_its_share() -> None:
    result = a_failed_run()
    for point in result.timeline:
        point.completed_tps /= 2
    said = peak(result)
    assert (said.value, said.state) == ("No", "bad")
    assert "was completed on average" in said.lines[0]


def test_a_generator_that_fell_behind_is_a_no_with_its_reason_where_the_verdict_does_not_say_it() -> None:
    result = a_failed_run()
    result.validity.verdict, result.validity.reasons = "INVALID", ["worker 1 was late"]
    for verdict, begins in (("INVALID", "The generator was"), ("AUDIT", "worker 1 was late")):
        result.verdict = verdict
        said = trust(result)
        assert (said.value, said.state) == ("No", "bad")
        assert said.lines[0].startswith(begins)


def test_an_aborted_run_that_hardly_began_is_neither_a_held_peak_nor_trusted() -> None:
    result = sample_result(Scene(duration_s=1, peak_tps=600.0))
    result.verdict, result.run.settings["peak_tps"] = "ABORTED", 600.0
    result.validity.reasons = ["stopped after 1 s: it was stopped by Ctrl-C"]
    assert (peak(result).value, trust(result).value) == ("Not reached", "With care")
    assert "stopped" not in " ".join(trust(result).lines)
    assert broken(result).value == "Nothing", "an objective without data names no slowest second"


def test_a_run_without_a_second_has_no_answer_and_no_defect() -> None:
    assert peak(an_empty_run()).value == "No data"
    assert len(answers(an_empty_run())) == 3
