"""Stopping: what has begun is finished or told 503, who waits to be accepted is accepted, and the end is always 0."""

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

from tests.target_service.buyers import wait_until
from tests.target_service.service_process import Service, running

BODY = b'{"buyer_id":1,"lines":[{"sku":"sku-000001","quantity":1}]}'
HEAD = (
    b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    % len(BODY)
)


PATIENT = ("--body-deadline-s", "300", "--idle-s", "300")
"""For a test that sends slowly, however slowly a busy machine makes it."""


def connected(service: Service) -> socket.socket:
    return socket.create_connection(service.address, timeout=90)


def all_of(client: socket.socket) -> bytes:
    """What a connection still says until its end."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(65536):
            said += piece
    return said


def is_stopping(service: Service) -> bool:
    try:
        connected(service).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_body_that_comes_while_stopping_is_read_and_its_order_made(tmp_path: Path) -> None:
    with running(tmp_path, "--drain-s", "60", *PATIENT) as service, connected(service) as client:
        client.sendall(HEAD + BODY[:10])
        wait_until(lambda: service.metric("orders_in_flight") == 1)
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_stopping(service))
        time.sleep(1)  # longer than connections without a request are kept
        client.sendall(BODY[10:])
        assert all_of(client).startswith(b"HTTP/1.1 201")
        assert service.process.wait(90) == 0


PIECES = [HEAD + BODY[:10], HEAD[:30], b"P", HEAD + BODY + HEAD[:30]]


def test_whatever_does_not_come_to_its_end_is_told_503_before_the_drain_is_over(tmp_path: Path) -> None:
    with running(tmp_path, "--drain-s", "10", *PATIENT) as service, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(service)) for _ in PIECES]
        for client, piece in zip(clients, PIECES, strict=True):
            client.sendall(piece)
            if piece.startswith(HEAD + BODY):
                assert client.recv(65536).startswith(b"HTTP/1.1 201")
        wait_until(lambda: service.metric("orders_in_flight") == 1)
        time.sleep(0.3)  # nothing tells from outside that a part of a head has been read
        service.process.send_signal(signal.SIGTERM)
        for piece, said in zip(PIECES, map(all_of, clients), strict=True):
            assert said.startswith(b"HTTP/1.1 503") or (said == b"" and piece.startswith(HEAD + BODY)), piece
        assert service.process.wait(90) == 0


def test_who_waits_to_be_accepted_is_accepted(tmp_path: Path) -> None:
    with running(tmp_path) as service, contextlib.ExitStack() as stack:
        (worker,) = service.worker_pids()
        os.kill(worker, signal.SIGSTOP)
        clients = [stack.enter_context(connected(service)) for _ in range(100)]
        for client in clients:
            client.sendall(HEAD + BODY)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)  # the signal is on its way to a worker that stands still
        os.kill(worker, signal.SIGCONT)
        assert {all_of(client)[:12] for client in clients} == {b"HTTP/1.1 201"}
        assert service.process.wait(90) == 0


def test_clients_that_never_read_do_not_keep_it_from_ending(tmp_path: Path) -> None:
    with running(tmp_path, "--drain-s", "10") as service, contextlib.ExitStack() as stack:
        for _ in range(20):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(service.address)
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.send(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(90) == 0


def test_clients_that_never_read_are_let_go(tmp_path: Path) -> None:
    with running(tmp_path, "--idle-s", "1") as service, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(service.address)
        client.settimeout(5)
        with contextlib.suppress(TimeoutError, ConnectionError):
            while True:
                client.send(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 500)
        wait_until(lambda: gone(client))


def gone(client: socket.socket) -> bool:
    try:
        client.send(b"x")
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return False


def test_any_number_of_signals_ends_it_once_and_with_0(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2") as service, connected(service):
        numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
        for turn in range(1000):
            if service.process.poll() is not None:
                break
            service.process.send_signal(numbers[turn % 3])
            time.sleep(0.005)
        assert service.process.wait(90) == 0
        assert "Traceback" not in service.log.read_text()
