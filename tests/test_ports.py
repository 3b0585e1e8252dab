"""Ports for processes that are told theirs."""

import socket

import pytest

from tests import ports
from tests.ports import SLICES, free_port, slice_of


def test_no_two_workers_have_a_port_in_common_and_none_has_one_of_the_kernels() -> None:
    slices = [slice_of(worker, 32_768, 60_999) for worker in range(SLICES)]
    assert len({port for each in slices for port in each}) == sum(map(len, slices))
    assert not any(32_768 <= port <= 60_999 for each in slices for port in each)
    assert min(map(len, slices)) > 500


def test_where_the_kernel_has_all_ports_workers_still_have_none_in_common() -> None:
    slices = [slice_of(worker, 1_024, 65_535) for worker in range(SLICES)]
    assert min(map(len, slices)) > 500
    assert len({port for each in slices for port in each}) == sum(map(len, slices))


def test_a_port_is_not_given_twice_nor_while_somebody_listens_there(monkeypatch: pytest.MonkeyPatch) -> None:
    first = free_port()
    assert free_port() != first
    with socket.create_server(("127.0.0.1", first)):
        monkeypatch.setattr(ports, "_mine", lambda: iter([first, first + 1]))
        monkeypatch.setattr(
            ports, "_is_free", lambda port, is_free=ports._is_free: port != first or is_free(port)
        )
        assert free_port() == first + 1
