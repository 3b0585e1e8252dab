"""The dangers of the native core, each held off by a test: see ARCHITECTURE.md."""

import contextlib
import gc
import os
import re
import select
import socket
import ssl
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from locust.env import Environment

from benchmarks.client.stress import stress
from loadtest.drive import _core
from loadtest.drive.response import Response
from loadtest.drive.session import Session
from loadtest.records import Outcome
from loadtest.testing import ScriptedServer, ServedConnection, always, response_bytes
from tests.required import native_core

core = native_core()

MakeSession = Callable[..., Session]
OK = response_bytes(b"ok")


def test_kills_timeouts_and_closes_lose_and_confuse_nothing() -> None:
    stressed = stress(10_000)
    assert stressed.wrong == 0
    assert 0 <= stressed.counted - stressed.ended <= stressed.kills


def test_who_closes_anothers_connection_in_the_same_batch_crashes_nothing(session_to: MakeSession) -> None:
    """Both answers are there at once; the first to be resumed closes the other's connection."""
    with ScriptedServer(always(OK)) as server:
        sessions = [session_to(server.url) for _ in range(8)]
        for session in sessions:
            session.get("/")
        open_lines = [pool.idle[0] for session in sessions for pool in session._pools.values()]

        def ask_and_close(session: Session) -> Any:
            response = session.get("/")
            for line in open_lines:
                line.close()
            return response

        asked = [gevent.spawn(ask_and_close, session) for session in sessions]
        gevent.joinall(asked, timeout=60, count=1)
        gevent.sleep(0.1)  # the others' turns, if they still have any: who closes a connection wakes nobody
        gevent.killall(asked)
    assert any(isinstance(greenlet.value, Response) and greenlet.value.ok for greenlet in asked)


DROPS_ANOTHERS_CONNECTION = """
from threading import Event

import gevent
from locust.env import Environment

from loadtest.drive.recorder import recorder_for
from loadtest.drive.response import Response
from loadtest.drive.session import Session
from loadtest.testing import ScriptedServer, response_bytes

answered = Event()

def serve(connection):
    if connection.read_request().startswith(b"GET /asks"):
        connection.send(response_bytes(b"ok"))
        answered.set()
        connection.read_request()
    else:
        connection.send(response_bytes(b"ok"))
        answered.wait(60)
    connection.close()

def ask_and_drop():
    asks.get("/asks")
    dropped.clear()

recorder = recorder_for(Environment())
with ScriptedServer(serve) as server:
    dropped = [Session(server.url, recorder)]
    dropped[0].get("/idles")
    asks = Session(server.url, recorder)
    # As Locust has it, the server runs in this loop: it answers and ends the idle connection before either is heard.
    gevent.spawn(ask_and_drop).get(timeout=60)
    assert not dropped
    asks.close()
"""


def test_a_line_that_a_script_drops_is_not_freed_before_its_batch_is_through() -> None:
    """The freed is overwritten here, so that a look at it is no lucky hit."""
    environment = {**os.environ, "PYTHONMALLOC": "debug"}
    command = [sys.executable, "-c", DROPS_ANOTHERS_CONNECTION]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert ended.returncode == 0, ended.stderr


def test_a_line_that_is_dropped_while_another_decrypts_is_not_freed_before_its_batch_is_through(
    session_to: MakeSession,
) -> None:
    """Over TLS Python runs while a batch is received, and may collect what is no longer used."""
    near, far = socket.socketpair()
    freed: list[str] = []
    freed_by_then: list[list[str]] = []

    class Dropped(core.Line):  # type: ignore[misc, name-defined] # the native module has no types
        heard = near.close

        def __del__(self) -> None:
            freed.append("freed")

    def drop() -> None:
        dropped.clear()
        freed_by_then.append(list(freed))

    with near, far, ScriptedServer(always(OK)) as server:
        dropped = [Dropped()]
        session = session_to(server.url)
        session.get("/")
        line: Any = next(iter(session._pools.values())).idle[0]
        line.speak_with(line.send, line.recv, stream_without_cipher(drop))
        dropped[0].listen(near.fileno())
        asking = gevent.spawn(session.get, "/")
        gevent.sleep(0)  # it has asked
        assert select.select([line.fd], [], [], 60)[0]  # the loop hears nothing meanwhile
        far.send(b"in the same batch")
        assert asking.get(timeout=60).content == b"ok"
    assert freed_by_then == [[]]
    assert freed == ["freed"]


def stream_without_cipher(meanwhile: Callable[[], None]) -> Any:
    """What the core takes for TLS, with bytes as they are; `meanwhile` is done where it decrypts."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    def read(most: int, buffer: bytearray) -> int:
        data = incoming.read(most)
        buffer[: len(data)] = data
        meanwhile()
        return len(data)

    stream = core.Secured(SimpleNamespace(write=outgoing.write, read=read), incoming, outgoing)
    stream.session_kept = True
    return stream


def test_a_connection_that_is_dropped_leaves_the_set_before_it_is_freed(session_to: MakeSession) -> None:
    with ScriptedServer(always(OK)) as server:
        for _ in range(50):
            session = session_to(server.url)
            session.get("/")
            (line,) = next(iter(session._pools.values())).idle
            gone = weakref.ref(session)
            line.close()
            del session, line
        gc.collect()
        assert session_to(server.url).get("/").content == b"ok"
        assert gone is not None


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_line_that_nobody_closed_leaves_the_set_when_it_is_freed() -> None:
    """Its socket may live on: the set would hold the address of what was freed."""
    near, far = socket.socketpair()
    with near, far:
        line = core.Line()
        line.listen(near.fileno())
        assert near.fileno() in polled_files()
        del line
        assert near.fileno() not in polled_files()


def polled_files() -> set[int]:
    """The files in any of this process's epoll sets, as the kernel tells (proc(5), /proc/pid/fdinfo)."""
    told = []
    for info in Path("/proc/self/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):
            told.append(info.read_text())
    return {int(number) for number in re.findall(r"^tfd:\s+(\d+)", "\n".join(told), re.MULTILINE)}


def test_no_function_of_the_core_keeps_a_large_array_on_the_stack() -> None:
    """greenlet copies the stack at each switch, and what points into it is wrong meanwhile."""
    sources = {path.name: path.read_text() for path in Path(_core.__file__).parent.glob("*.p[xy][xi]")}
    assert "poller.pxi" in sources
    sizes = dict(re.findall(r"^ {4}([A-Z_]+) = (\d+)", "\n".join(sources.values()), re.MULTILINE))
    large = [
        (name, line.strip())
        for name, text in sources.items()
        for line in locals_of(text)
        for bound in re.findall(r"cdef [\w ]+\[(\w+)\]", line)
        if int(sizes.get(bound, bound)) > MOST_ON_STACK
    ]
    assert large == []


MOST_ON_STACK = 64
"""Elements of an array in a function."""


def locals_of(source: str) -> list[str]:
    """The lines of Cython source that stand in a function, not in a class or at the top."""
    found: list[str] = []
    function_indent: int | None = None
    for line in source.splitlines():
        indent = len(line) - len(line.lstrip())
        if function_indent is not None and line.strip() and indent <= function_indent:
            function_indent = None
        if function_indent is not None:
            found.append(line)
        elif re.match(r" *(def|cdef|cpdef)\b.*\(.*(:|,)$", line):
            function_indent = indent
    return found


def test_a_request_composed_while_another_connects_is_sent_as_it_was(
    session_to: MakeSession, outcomes: list[Outcome]
) -> None:
    """All sessions compose in one buffer, which is good for nothing once another greenlet has run."""
    with ScriptedServer(always(OK)) as server:
        sessions = [session_to(server.url) for _ in range(10)]
        gevent.joinall(
            [gevent.spawn(session.get, f"/{number}") for number, session in enumerate(sessions)],
            raise_error=True,
        )
        paths = sorted(request.split(b" ")[1] for request in server.requests)
    assert paths == [b"/%d" % number for number in range(10)]


class Farewell:
    """Garbage in a cycle; it says goodbye when it is collected."""

    def __init__(self, session: Session) -> None:
        self.session, self.itself = session, self

    def __del__(self) -> None:
        if threading.current_thread() is threading.main_thread():  # the server's allocate, too
            self.session.get("/farewell", headers={"X-Key": "goodbye"})


def test_what_is_collected_while_a_request_is_composed_may_send_one_of_its_own(
    session_to: MakeSession,
) -> None:
    """The collector runs wherever something is allocated; one of these thresholds is reached while composing."""
    thresholds = gc.get_threshold()
    with ScriptedServer(always(OK)) as server:
        asks, parts = session_to(server.url), session_to(server.url)
        asks.get("/"), parts.get("/")
        gc.collect()
        gc.freeze()  # what earlier tests left would be gone through a hundred times
        try:
            for allocations in range(1, 30):
                gc.set_threshold(0)
                gc.collect()  # all of it, or what it keeps for later is taken without an allocation
                Farewell(parts)
                gc.set_threshold(allocations)
                asks.get("/asked", headers={"X-Key": "k"})
                gc.collect()
        finally:
            gc.set_threshold(*thresholds)
        paths = [request.split(b" ")[1] for request in server.requests[2:]]
    assert paths.count(b"/asked") == 29
    assert paths.count(b"/farewell") == len(paths) - 29 > 0


def test_headers_changed_after_the_request_do_not_change_what_was_sent(session_to: MakeSession) -> None:
    headers = {"X-Key": "first"}
    with ScriptedServer(always(OK)) as server:
        response = session_to(server.url).get("/", headers=headers)
        headers["X-Key"] = "second"
        assert response.sent == server.requests[0]


def test_a_body_in_many_pieces_is_received_whole(session_to: MakeSession) -> None:
    body = os.urandom(300_000)

    def in_pieces(connection: ServedConnection) -> None:
        while connection.read_request():
            whole = response_bytes(body)
            for start in range(0, len(whole), 7_777):
                connection.send(whole[start : start + 7_777])

    with ScriptedServer(in_pieces) as server:
        session = session_to(server.url)
        assert [session.get("/").content == body for _ in range(3)] == [True] * 3
    assert server.connections == 1


def test_a_script_that_puts_its_own_request_there_is_asked(session_to: MakeSession) -> None:
    with ScriptedServer(always(OK)) as server:
        session = session_to(server.url)
        asked: list[tuple[Any, ...]] = []
        session.request = lambda *given, **named: asked.append((given, named))  # type: ignore[method-assign]
        session.get("/", name="n")
        session.post("/", json={})
    assert asked == [(("GET", "/"), {"name": "n"}), (("POST", "/"), {"data": None, "json": {}})]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_does_not_take_connections_out_of_the_parents_set(
    session_to: MakeSession, environment: Environment
) -> None:
    with ScriptedServer(always(OK)) as server:
        session = session_to(server.url)
        session.get("/")
        child = os.fork()
        if child == 0:
            try:
                session.close()
            finally:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        response = session.get("/")
    assert response.content == b"ok"
    assert environment is not None
