"""The ledger: what was written survives, also the death of who wrote it."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.measure.ledger import GROWTH_BYTES, Ledger, LedgerEntry, OrderState, open_ledgers, read_ledgers

WRITER = """
import sys
from pathlib import Path
from loadtest.measure.ledger import Ledger, OrderState

ledger = Ledger(Path(sys.argv[1]), "run", "book")
for state in (OrderState.ACKNOWLEDGED, OrderState.REJECTED, OrderState.UNKNOWN):
    ledger.settle(ledger.intend()[0], state)
ledger.intend()
print("written", flush=True)
sys.stdin.read()
"""


def test_every_order_has_its_own_key_and_the_state_it_was_settled_with(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "run-1", "w1")
    numbers = [ledger.intend() for _ in range(3)]
    assert [key for _, key in numbers] == ["run-1:w1:0", "run-1:w1:1", "run-1:w1:2"]
    ledger.settle(0, OrderState.ACKNOWLEDGED)
    ledger.settle(2, OrderState.REJECTED)
    ledger.close()
    assert list(read_ledgers(tmp_path, "run-1")) == [
        LedgerEntry("run-1:w1:0", OrderState.ACKNOWLEDGED),
        LedgerEntry("run-1:w1:1", OrderState.INTENT),
        LedgerEntry("run-1:w1:2", OrderState.REJECTED),
    ]


def test_a_closed_ledger_is_as_long_as_its_orders(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "run", "w1")
    for _ in range(7):
        ledger.intend()
    assert ledger.path.stat().st_size == GROWTH_BYTES
    ledger.close()
    ledger.close()
    assert ledger.path.stat().st_size == 7


def test_a_ledger_grows_beyond_its_first_mebibyte_without_losing_what_it_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loadtest.measure.ledger.GROWTH_BYTES", 4096)
    ledger = Ledger(tmp_path, "run", "w1")
    for n in range(3 * 4096 + 5):
        assert ledger.intend()[0] == n
        ledger.settle(n, OrderState.ACKNOWLEDGED if n % 2 else OrderState.UNKNOWN)
    ledger.close()
    states = [entry.state for entry in read_ledgers(tmp_path, "run")]
    assert len(states) == 3 * 4096 + 5
    assert all(
        state is (OrderState.ACKNOWLEDGED if n % 2 else OrderState.UNKNOWN) for n, state in enumerate(states)
    )


def test_books_of_several_workers_are_read_together(tmp_path: Path) -> None:
    for book in ("b", "a"):
        ledger = Ledger(tmp_path, "run", book)
        ledger.intend()
        ledger.close()
    assert [entry.key for entry in read_ledgers(tmp_path, "run")] == ["run:a:0", "run:b:0"]


def test_books_that_are_there_already_are_left_alone_and_their_keys_are_not_used_again(
    tmp_path: Path,
) -> None:
    keys = []
    for _ in range(3):
        ledger = Ledger(tmp_path, "run", "local")
        number, key = ledger.intend()
        ledger.settle(number, OrderState.ACKNOWLEDGED)
        ledger.close()
        keys.append(key)
    assert keys == ["run:local:0", "run:local-2:0", "run:local-3:0"]
    assert sorted(entry.key for entry in read_ledgers(tmp_path, "run")) == sorted(keys)


def test_books_survive_the_kill_of_the_process_that_kept_them(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        writer.send_signal(signal.SIGKILL)
    states = [entry.state for entry in read_ledgers(tmp_path, "run")]
    assert states == [OrderState.ACKNOWLEDGED, OrderState.REJECTED, OrderState.UNKNOWN, OrderState.INTENT]


def test_a_state_that_no_ledger_writes_is_an_error_and_not_a_guess(tmp_path: Path) -> None:
    (tmp_path / "w1.ledger").write_bytes(b"\x02\x09")
    with pytest.raises(ValueError, match="9 is not a valid OrderState"):
        list(read_ledgers(tmp_path, "run"))


@pytest.mark.parametrize(("refusing", "code"), [
    ("os.posix_fallocate", errno.ENOSPC),
    ("mmap.mmap", errno.ENOMEM),
])  # fmt: skip
def test_a_full_disk_or_memory_is_an_error_and_what_was_noted_before_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusing: str, code: int
) -> None:
    monkeypatch.setattr("loadtest.measure.ledger.GROWTH_BYTES", 4096)
    ledger = Ledger(tmp_path, "run", "w1")
    for _ in range(4096):
        ledger.intend()

    def full(*_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(refusing, full)
    for _ in range(2):
        with pytest.raises(OSError, match=os.strerror(code)):
            ledger.intend()
    assert ledger.trouble is not None
    ledger.settle(4095, OrderState.ACKNOWLEDGED)  # its answer was still under way
    ledger.close()
    entries = list(read_ledgers(tmp_path, "run"))
    assert (len(entries), entries[-1].state) == (4096, OrderState.ACKNOWLEDGED)


def test_the_blocks_of_the_books_are_reserved_and_no_holes(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "run", "w1")
    assert ledger.path.stat().st_blocks * 512 >= GROWTH_BYTES
    ledger.close()


def test_what_was_opened_can_be_read_though_its_worker_cuts_it_meanwhile(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "run", "w1")
    ledger.settle(ledger.intend()[0], OrderState.ACKNOWLEDGED)
    (opened,) = open_ledgers(tmp_path, "run")
    ledger.close()
    assert len(opened.states) == GROWTH_BYTES
    assert opened.states.rstrip(b"\0") == bytes([OrderState.ACKNOWLEDGED])
