"""Reports are numbered without a gap and sent until they are acknowledged."""

from loadtest.fleet.worker_report import RESEND_AFTER_NS, Load, Reporter
from tests.fleet.sample_report import second


def test_reports_are_numbered_from_zero_without_a_gap() -> None:
    reporter = Reporter("run")
    assert [reporter.report([], now_ns=0).number for _ in range(3)] == [0, 1, 2]


def test_a_report_carries_what_it_was_given() -> None:
    report = Reporter("run").report(
        [second(4)], 0, load=Load(in_flight=1, backlog=2, cpu=0.5, cpu_wait=0.25), ended_ns=9
    )
    assert [packed.index for packed in report.seconds] == [4]
    state = (report.in_flight, report.backlog, report.cpu, report.cpu_wait, report.final, report.ended_ns)
    assert state == (1, 2, 0.5, 0.25, True, 9)


def test_a_report_is_sent_again_each_second_until_it_is_acknowledged() -> None:
    reporter = Reporter("run")
    report = reporter.report([second(0)], now_ns=0)
    assert reporter.due(RESEND_AFTER_NS - 1) == []
    assert reporter.due(RESEND_AFTER_NS) == [report]
    assert reporter.due(RESEND_AFTER_NS + 1) == [], "it was just sent"
    assert reporter.due(2 * RESEND_AFTER_NS) == [report]
    reporter.acknowledge(0)
    assert reporter.due(9 * RESEND_AFTER_NS) == []


def test_reports_are_resent_oldest_first() -> None:
    reporter = Reporter("run")
    sent = [reporter.report([], now_ns=n) for n in range(3)]
    reporter.acknowledge(1)
    assert reporter.due(5 * RESEND_AFTER_NS) == [sent[0], sent[2]]


def test_settled_once_everything_is_acknowledged_in_any_order_and_any_number_of_times() -> None:
    reporter = Reporter("run")
    for _ in range(2):
        reporter.report([], now_ns=0)
    for number in (1, 1, 77):
        reporter.acknowledge(number)
    assert not reporter.settled
    reporter.acknowledge(0)
    assert reporter.settled
