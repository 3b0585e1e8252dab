"""The service as processes: starting, stopping, crashing and refusing to start."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.target_service.buyers import Buyers, stored_keys, wait_until
from tests.target_service.service_process import COMMAND, ROOT, Service, running


def refused(*flags: str, **environment: str) -> str:
    """Start with bad settings; return what was said on the way out with code 2."""
    ended = subprocess.run(
        [*COMMAND, *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | environment,
    )
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    return ended.stderr


@pytest.mark.slow(stays=["15"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_under_load_loses_no_acknowledged_order(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path, "--workers", "2") as service:
        with Buyers(service) as buyers:
            wait_until(lambda: len(buyers.acknowledged) > 200)
            assert service.stop(number) == 0
        stored = stored_keys(tmp_path)
        assert len(stored) == len(set(stored))
        assert set(buyers.acknowledged.items()) <= set(stored)


def test_a_request_that_was_accepted_is_answered_while_draining(tmp_path: Path) -> None:
    with running(tmp_path) as service, socket.create_connection(service.address) as client:
        body = b'{"buyer_id":1,"lines":[{"sku":"sku-000001","quantity":1}]}'
        head = "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}"
        client.sendall(head.encode() + b"\r\n\r\n" + body[:10])
        wait_until(lambda: service.metric("orders_in_flight") == 1)
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: _refuses(service))
        client.sendall(body[10:])
        answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 201")
        assert b"Connection: close" in answer
        assert service.process.wait(90) == 0


def _refuses(service: Service) -> bool:
    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(service.address):
        return False
    return True


def test_a_crashed_worker_is_started_again_and_counted(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        assert service.order("before").status == 201
        (first,) = service.worker_pids()
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: service.worker_pids() not in ([], [first]))
        # The connection waits in the supervisor's socket until the new worker takes it, however long that starts.
        assert service.order("before").headers["Idempotent-Replayed"] == "true"
        assert service.metric("orders_worker_restarts_total") == 1
        assert service.metric('orders_created_total{traffic="live"}') == 1


def test_workers_die_with_their_supervisor(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2") as service:
        workers = service.worker_pids()
        assert len(workers) == 2
        service.process.kill()
        wait_until(lambda: not any(_runs(pid) for pid in workers))


def _runs(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def test_hangup_replaces_the_workers_without_losing_a_request(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2") as service:
        before = service.worker_pids()
        with Buyers(service) as buyers:
            wait_until(lambda: len(buyers.acknowledged) > 50)
            service.process.send_signal(signal.SIGHUP)
            wait_until(
                lambda: len(service.worker_pids()) == 2 and not set(service.worker_pids()) & set(before)
            )
            seen = len(buyers.acknowledged)  # new workers may still be starting: orders wait for them
            wait_until(lambda: len(buyers.acknowledged) > seen + 50)
        assert buyers.cut == []
        assert service.metric("orders_worker_restarts_total") == 0


def test_a_key_is_replayed_by_every_worker_and_after_a_restart(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2") as service:
        first = service.order("the-key")
        again = [service.order("the-key") for _ in range(8)]
        service.stop()
    with running(tmp_path) as service:
        again.append(service.order("the-key"))
    assert first.status == 201
    assert "Idempotent-Replayed" not in first.headers
    assert {answer.body for answer in again} == {first.body}
    assert {answer.headers["Idempotent-Replayed"] for answer in again} == {"true"}


def test_a_hot_product_sells_exactly_the_stock_there_is(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2", "--stock", "100") as service:
        with Buyers(service, 1) as other:
            answers = [service.order(sku="sku-000009", quantity=3).status for _ in range(60)]
        assert (answers.count(201), answers.count(409)) == (33, 27)
        assert service.ask("GET", "/products/sku-000009").json["available"] == 1
        assert other.acknowledged


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of few units and with a password, which nobody stops."""
    flags = ("--stock", "5")
    with running(tmp_path_factory.mktemp("undisturbed"), *flags, ORDERS_ADMIN_TOKEN="sesame-9") as service:
        yield service


def test_tagged_requests_touch_no_live_row(undisturbed: Service) -> None:
    service = undisturbed
    shadow = service.order("k", quantity=5, X_Load_Test="run-1")
    assert shadow.status == 201
    order_path = f"/orders/{shadow.json['order_id']}"
    assert service.ask("GET", order_path).status == 404
    assert service.ask("GET", order_path, X_Load_Test="run-1").status == 200
    assert service.ask("GET", "/products/sku-000001").json["available"] == 5
    assert service.ask("GET", "/products/sku-000001", X_Load_Test="run-1").json["available"] == 0
    assert service.ask("GET", "/products/sku-000001", X_Load_Test="run-2").json["available"] == 5
    assert service.order("k").headers.get("Idempotent-Replayed") is None
    assert service.metric('orders_created_total{traffic="shadow"}') == 1
    assert [key for key, _ in stored_keys(service.log.parent)] == ["k"]


def test_a_port_in_use_ends_with_two_and_names_the_port(undisturbed: Service, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/o.db"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for port in (taken.getsockname()[1], undisturbed.address[1]):
            assert f"127.0.0.1 port {port}" in refused("--port", str(port), "--store", store)


def test_a_store_that_cannot_be_opened_ends_with_two_and_names_it(tmp_path: Path) -> None:
    said = refused("--port", "0", "--admin-port", "0", "--store", f"sqlite:///{tmp_path}/no/such/folder.db")
    assert "--store" in said
    assert "no/such/folder.db" in said


def test_a_first_worker_that_cannot_run_ends_the_service_instead_of_starting_again_for_ever(
    tmp_path: Path,
) -> None:
    ended = subprocess.run(
        [*COMMAND, "--port", "0", "--admin-port", "0", "--store", f"sqlite:///{tmp_path}/orders.db"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"AIOHTTP_NO_EXTENSIONS": "1"},
    )
    assert ended.returncode == 1
    assert "aiohttp runs without its C parser" in ended.stderr


def test_the_configuration_is_printed_without_secrets(undisturbed: Service) -> None:
    said = undisturbed.log.read_text()
    assert f'"store": "sqlite:///{undisturbed.log.parent}/orders.db"' in said
    assert '"admin_token": "set"' in said
    assert "sesame-9" not in said


@pytest.mark.slow(held_by="test_a_crashed_worker_is_started_again_and_counted")
def test_a_worker_that_hangs_is_replaced_and_the_others_go_on(tmp_path: Path) -> None:
    with running(tmp_path, "--workers", "2") as service:
        hung, other = service.worker_pids()
        os.kill(hung, signal.SIGSTOP)
        wait_until(lambda: hung not in service.worker_pids() and len(service.worker_pids()) == 2, 60)
        assert other in service.worker_pids()
        assert service.metric("orders_worker_restarts_total") == 1
        assert "worker 0 hangs" in service.log.read_text() or "worker 1 hangs" in service.log.read_text()
        wait_until(lambda: service.order().status == 201)
