"""Ports: shared among ourselves, and with nobody else."""

import contextlib

import pytest

from target_service.sockets import AddressInUseError, bind, bind_shared, port_of, url_of


def test_all_workers_listen_on_one_port() -> None:
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(one) for one in bind_shared("127.0.0.1", 0, 3, 16)]
        assert len({port_of(one) for one in listeners}) == 1
        assert url_of("127.0.0.1", listeners[0]) == f"http://127.0.0.1:{port_of(listeners[0])}"


def test_a_second_service_cannot_share_the_port() -> None:
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(one) for one in bind_shared("127.0.0.1", 0, 2, 16)]
        taken = port_of(listeners[0])
        with pytest.raises(AddressInUseError, match=f"127.0.0.1 port {taken}"):
            bind_shared("127.0.0.1", taken, 2, 16)


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(AddressInUseError, match=r"192\.0\.2\.1 port 80"):
        bind("192.0.2.1", 80)
