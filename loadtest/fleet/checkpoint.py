"""What a run needs to go on after its master, its machine or everything died: its totals, as a file.

`result.json` is for people and judges; quantiles and points of a timeline cannot be taken apart again. This file
holds what they are made of, exactly: counters, every histogram as `measure.codec` packs it, the slots that were
dealt out, and the plan itself, so that neither a plan file nor a flag can have changed when the run is resumed.

The totals end at `history.known_to_ns`, and the schedule goes on there. What was played after it, before the end
came, is in no totals: it is played again, with new orders, so no second of the plan goes unmeasured. (Skipping it
would leave up to a checkpoint's interval of the plan lost. Sending the same orders again would find the service
answering from its memory of their idempotency keys, which is not the work to be measured.) What was in flight at
that offset is cancelled; what nobody had reported by then is lost, and counted so.

The size is bounded as the totals are: at most 3,600 bins of a timeline, each with one packed histogram, and one
pair of histograms for each endpoint in the whole and in each period. That of two hours with 20 endpoints and three
periods was 4.1 MB, packed in 60 ms and read back in 95 ms (two cores, both also used by others).
"""

from pathlib import Path

import msgspec

from loadtest.fleet.coordinator import Coordinator
from loadtest.fleet.history import History
from loadtest.fleet.merge import PackedTotals
from loadtest.measure.run_result import RunInfo
from loadtest.measure.whole_file import write_durably

CHECKPOINT = "checkpoint.bin"
"""Its name in a run folder."""
KILLED = "the master was killed, this is its last checkpoint"
"""Why a run ended that nobody has gone on with."""
VERSION = 2
MAX_BYTES = 1 << 28
"""A file larger than that is none of ours: 256 MiB, some hundred times that of a long run."""
_MAGIC = b"singlesday checkpoint "
_HEAD = _MAGIC + b"%d\n" % VERSION


class CheckpointError(ValueError):
    """A file that no run can be resumed from; the message names it and says why."""


class Checkpoint(msgspec.Struct, frozen=True):
    """One run, up to one moment."""

    info: RunInfo
    plan: bytes
    """As `Plan.to_json` writes it."""
    slos: list[str]
    """The objectives it is judged by, the plan's and those of the command line."""
    periods: list[tuple[float, float, str]] = msgspec.field(name="stretches")
    """What `totals.periods` are the sums of."""
    history: History = msgspec.field(name="course")
    totals: PackedTotals = msgspec.field(name="books")
    gauges: dict[str, list[tuple[float, float]]]
    written_wall_ns: int
    stopped: str | None = None
    """Why the run was ended before its time, if it was not killed."""

    @property
    def known_to_s(self) -> float:
        """Where the schedule goes on."""
        return self.history.known_to_ns / 1e9


def encode(checkpoint: Checkpoint) -> bytes:
    """A checkpoint as bytes."""
    return _HEAD + msgspec.msgpack.encode(checkpoint)


def decode(data: bytes) -> Checkpoint:
    """The checkpoint in `data`. Raises `CheckpointError` for anything that is not one of this version."""
    if not data.startswith(_HEAD):
        if data.startswith(_MAGIC):
            written = data[len(_MAGIC) : data.find(b"\n")][:20].decode(errors="replace")
            raise CheckpointError(f"expected a checkpoint of version {VERSION}, got version {written}")
        raise CheckpointError("expected a checkpoint of a run")
    try:
        return msgspec.msgpack.decode(data[len(_HEAD) :], type=Checkpoint)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CheckpointError(f"a checkpoint that is damaged: {error}") from error


def write(data: bytes, folder: Path) -> None:
    """Leave an encoded checkpoint in a run folder, on the disk when this returns. Raises `OSError`."""
    write_durably(data, folder / CHECKPOINT)


def read(folder: Path) -> Checkpoint:
    """The last checkpoint in a run folder. Raises `CheckpointError`, `OSError`."""
    path = folder / CHECKPOINT
    if path.stat().st_size > MAX_BYTES:
        raise CheckpointError(f"{path}: expected a checkpoint of at most {MAX_BYTES >> 20} MiB")
    try:
        return decode(path.read_bytes())
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def differences(before: RunInfo, now: RunInfo) -> str:
    """What has changed since the run began, as a clause; empty when versions and machine are the same."""
    pairs = [(name, was, now.versions.get(name)) for name, was in before.versions.items()] + [
        (name, was, now.machine.get(name)) for name, was in before.machine.items()
    ]
    changed = [f"{name} {is_} instead of {was}" for name, was, is_ in pairs if is_ != was]
    return f"; with {', '.join(changed)}" if changed else ""


def restore(checkpoint: Checkpoint, coordinator: Coordinator, note: str) -> None:
    """Let a new coordinator with empty totals go on where the checkpoint's ended. Raises `CheckpointError`."""
    try:
        renamed = coordinator.take_up(checkpoint.history, note)
        coordinator.merge.take_up(checkpoint.totals, renamed)
    except (ValueError, KeyError) as error:
        raise CheckpointError(f"the totals of a checkpoint do not fit together: {error}") from error


def interruption(checkpoint: Checkpoint, now_wall_ns: int) -> str:
    """What happened between a checkpoint and its restoration, for the report."""
    away_s = max(0, now_wall_ns - checkpoint.written_wall_ns) / 1e9
    if checkpoint.stopped is not None:
        return f"resumed {away_s:.0f} s after the run was stopped ({checkpoint.stopped})"
    return (
        f"resumed {away_s:.0f} s after the last checkpoint of a run that was killed; "
        "what it played after that was played again, with orders of its own"
    )
