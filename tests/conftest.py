"""What holds for every test: this process stays as Python made it, and times are judged in peace.

Locust patches sockets, threads and time for gevent when it is imported. The test process needs real threads
(it runs servers in them), so the import happens here, once, without the patching. The variable is gone again
before any test starts a process of its own: those are patched, as they are for users.
"""

import gc
import os
import signal
import socket
from collections.abc import Generator

import hypothesis
import pytest

os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"
import locust  # noqa: F401 - for the effect

del os.environ["LOCUST_SKIP_MONKEY_PATCH"]

from tests.slow import in_share, parsed_share, unmark_what_stays
from tests.timing import (
    arrange,
    begin_again,
    limit_again,
    note_limit,
    place,
    skipped_at_last,
    timing,  # noqa: F401 - a fixture
)

# Nothing is garbage while thousands of tests are collected: searching it would be a quarter of that time.
gc.disable()

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # So it is in a background job; and the processes that tests start would never hear of Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

LONGEST_INPUT_IN_A_NAME = 60

# How long an example takes to draw or to play says how busy the machine is. Every night draws more of them.
hypothesis.settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    max_examples=int(os.environ.get("EXAMPLES", "30")),
)
hypothesis.settings.load_profile("any machine")


def pytest_make_parametrize_id(val: object) -> str | None:
    """A name for a long input that does not hold all of it: pytest-xdist sends each test's name about."""
    if isinstance(val, str | bytes) and len(val) > LONGEST_INPUT_IN_A_NAME:
        return f"{val[:LONGEST_INPUT_IN_A_NAME]!a} of {len(val)}"
    return None


def pytest_addoption(parser: pytest.Parser) -> None:
    """CI plays the slow tests in turn: some of them with each commit."""
    parser.addoption("--slow-share", metavar="N/OF", help="of the tests left, only these: one of OF shares")


@pytest.hookimpl(trylast=True)  # after pytest-rerunfailures, which has connected by then
def pytest_configure(config: pytest.Config) -> None:
    """Have a worker tell at once of each test that it begins: TCP would keep that back for 40 ms, for every test."""
    told = getattr(getattr(config, "failures_db", None), "sock", None)
    if told is not None:
        told.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist, which reads the groups, and before -m
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Which tests play, on which worker, and in which order."""
    unmark_what_stays(items)
    arrange(items)
    if text := config.getoption("--slow-share", None):
        number, of = parsed_share(text)
        others = [item for item in items if not in_share(item.nodeid, number, of)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if in_share(item.nodeid, number, of)]


def pytest_collection_finish() -> None:
    """What was collected stays until the end: no later search for garbage goes through it again."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(
    wrapper=True, tryfirst=True
)  # around pytest-timeout: waiting for one's place is no time of a test
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """One test at a time, or many, as they allow."""
    with place(item):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: object) -> None:
    """How long a test may take; pytest-timeout goes on from here."""
    note_limit(item, settings)


@pytest.hookimpl(trylast=True)  # after pytest-timeout, which ends the limit here
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """What a test that failed leaves to be torn down has as long as the test had."""
    if isinstance(node, pytest.Item) and not node.config.getoption("usepdb"):
        limit_again(node)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """A module that sets the variable when it is imported would hang every Locust that a later test starts."""
    assert "LOCUST_SKIP_MONKEY_PATCH" not in os.environ, "some test module left this set"
    begin_again(item)
    with skipped_at_last(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """A run whose cores were taken proves nothing: the test is played again, then skips."""
    with skipped_at_last(item):
        return (yield)
