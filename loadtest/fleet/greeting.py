"""What a worker of another machine and its master say to each other before the worker starts Locust.

The worker greets and tells what it is made of. The master refuses one that is made of something else, or welcomes it
and says which files the plan needs; the worker asks for those in chunks. A file that is not sent, because it lies
elsewhere or is large, has to be on the worker's machine at the same path.

All of it travels as Locust's messages of the type `GREETING`, on the control port and under the run token. The master
answers each by itself and keeps nothing of it: whoever greets is no worker yet.
"""

import hashlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Annotated

import msgspec
from msgspec import Meta

from loadtest.fleet.build import Build, differences

GREETING = "singlesday_greeting"
"""The type of Locust's messages that carry these."""
CHUNK_BYTES = 1 << 20
MOST_SENT_BYTES = 64 << 20
"""A larger file is not sent: a hundred workers would wait minutes for it."""
MOST_FILES = 1000
logger = logging.getLogger(__name__)
_Size = Annotated[int, Meta(ge=0, lt=1 << 50)]


class GreetingError(ValueError):
    """Something else than what the other side may say; the message says what."""


class SentFile(msgspec.Struct, frozen=True):
    """A file that the master sends."""

    name: Annotated[str, Meta(max_length=500)]
    """Relative to the plan's folder, with `/`."""
    size_bytes: _Size
    sha256: str


class OwnFile(msgspec.Struct, frozen=True):
    """A file that every machine must have itself."""

    path: Annotated[str, Meta(max_length=4000)]
    """The same everywhere."""
    size_bytes: _Size
    name: Annotated[str, Meta(max_length=4000)] = ""
    """Where it is from the plan's folder on, with `..` for one outside, since a script may look for it there."""


class Greeting(msgspec.Struct, frozen=True, tag=True):
    """Worker to master: may I come?"""

    build: dict[str, str]
    machine: Annotated[str, Meta(max_length=255)]


class Want(msgspec.Struct, frozen=True, tag=True):
    """Worker to master: the chunk of a file that begins at a byte."""

    name: str
    from_byte: _Size


class Welcome(msgspec.Struct, frozen=True, tag=True):
    """Master to worker: come, with these files."""

    plan: str
    """The plan file's name among them; empty where a plan is not known yet, or has no file."""
    files: Annotated[list[SentFile], Meta(max_length=MOST_FILES)]
    own: Annotated[list[OwnFile], Meta(max_length=MOST_FILES)]


class Chunk(msgspec.Struct, frozen=True, tag=True):
    """Master to worker: a chunk of a file."""

    name: str
    from_byte: int
    data: bytes


class Refusal(msgspec.Struct, frozen=True, tag=True):
    """Master to worker: no, and why."""

    reason: str


Asked = Greeting | Want
Answered = Welcome | Chunk | Refusal
_asked = msgspec.msgpack.Decoder(Asked)
_answered = msgspec.msgpack.Decoder(Answered)
encode = msgspec.msgpack.encode


def decode_answer(frame: bytes) -> Answered:
    """What a master said. Raises `GreetingError`."""
    try:
        answered: Answered = _answered.decode(frame)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise GreetingError(f"not an answer of a master: {error}") from error
    return answered


@dataclass(frozen=True, slots=True)
class PlanFiles:
    """What a plan needs on a worker's machine."""

    plan: str = ""
    paths: tuple[tuple[str, Path], ...] = ()
    """(name below the plan's folder, where it is here) of each file that is sent."""
    own: tuple[OwnFile, ...] = ()

    def welcome(self) -> Welcome:
        """How a worker is told of it. Raises `OSError` for a file that is no longer there."""
        sent = []
        for name, path in self.paths:
            now = path.stat()
            sent.append(SentFile(name, now.st_size, _sha256_as_of(path, now.st_size, now.st_mtime_ns)))
        return Welcome(self.plan, sent, list(self.own))

    def chunk(self, want: Want) -> Chunk | Refusal:
        """A chunk of one of its files, and of nothing else that lies here."""
        for name, path in self.paths:
            if name == want.name:
                with path.open("rb") as file:
                    file.seek(want.from_byte)
                    return Chunk(name, want.from_byte, file.read(CHUNK_BYTES))
        return Refusal(f"{want.name[:100]!r} is not a file of the plan")


class Greeter:
    """The master's side: answers whoever greets."""

    def __init__(self, build: Build) -> None:
        self.plan_files: PlanFiles | None = None
        """What the plan needs; None while it is being found out: whoever greets then asks again."""
        self._build = build

    def answer(self, frame: object) -> Answered | None:
        """What to answer to a frame; None for nothing yet."""
        try:
            asked = _asked.decode(frame if isinstance(frame, bytes) else b"")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return Refusal(f"not a greeting: {error}")
        try:
            if isinstance(asked, Greeting) and (differing := differences(self._build, asked.build)):
                return self._refuse(f"the worker on {asked.machine} has {differing}")
            if self.plan_files is None:
                return None
            return self.plan_files.chunk(asked) if isinstance(asked, Want) else self.plan_files.welcome()
        except OSError as error:
            return Refusal(f"{error.filename}: cannot be read on the master's machine ({error.strerror})")

    def _refuse(self, reason: str) -> Refusal:
        logger.warning("refused a worker: %s", reason)
        return Refusal(reason)


def plan_files_of(plan: Path, wanted: Sequence[Path]) -> PlanFiles:
    """A plan file and what is wanted besides, divided into what is sent and what every machine must have.

    Raises `OSError` for a file that is not there.
    """
    folder = plan.resolve().parent
    paths: dict[str, Path] = {}
    own = []
    for path in (plan, *wanted):
        place, size = path.resolve(), path.stat().st_size
        if place.is_relative_to(folder):
            # The plan goes by the name it is announced under, which may be a link's.
            name = plan.name if path is plan else place.relative_to(folder).as_posix()
            if size <= MOST_SENT_BYTES and len(paths) < MOST_FILES:
                paths[name] = place
                continue
        else:
            name = Path(os.path.relpath(path, plan.parent)).as_posix()
        own.append(OwnFile(os.path.abspath(path), size, name))
    return PlanFiles(plan.name, tuple(paths.items()), tuple(own))


def sha256_of(path: Path) -> str:
    """A file's digest, read in pieces. Raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=MOST_FILES)
def _sha256_as_of(path: Path, _size_bytes: int, _changed_ns: int) -> str:
    """A file's digest, computed once for as long as it is not changed: a hundred workers greet at once."""
    return sha256_of(path)


def is_safe(name: str) -> bool:
    """Whether a file of that name stays in the folder that it is put into."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts
