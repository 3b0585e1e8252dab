"""The worker's side of a greeting: asks the master whether it may come, and brings home the plan's files.

Whatever stands in the way is one sentence in a `JoiningError`, before Locust is started. Nothing here knows gevent:
this runs in the process of `singlesday worker`, which starts the workers proper afterwards.
"""

import contextlib
import os
import socket as names
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from uuid import uuid4

import msgspec
import zmq

from loadtest.fleet.build import Build
from loadtest.fleet.curve import REFUSALS, encrypt, event_in
from loadtest.fleet.greeting import (
    GREETING,
    Answered,
    Asked,
    Chunk,
    Greeting,
    GreetingError,
    OwnFile,
    Refusal,
    SentFile,
    Want,
    Welcome,
    decode_answer,
    encode,
    is_safe,
    sha256_of,
)
from loadtest.place import Place

_LEVEL = "where-the-plan-lies"
"""What a folder above the plan's is called; no folder of a user's is."""
LOOK_MS = 200
ASK_AGAIN_S = 5.0
"""A question that came while a connection broke is lost."""
ANSWER_S = 15.0
"""A master that has shaken hands answers within that, or is none."""
STARTING = "; one that is still starting may need a longer --wait"
SEEN = REFUSALS | zmq.Event.HANDSHAKE_SUCCEEDED | zmq.Event.CONNECTED
"""What we are told of a connection."""
NEXT_ADDRESS_S = 2.0
"""How long one of several addresses of a name is tried."""
REFUSED_FOR_S = 2.0
"""A proxy before a master that is just starting breaks a handshake off too, once or twice."""


A = TypeVar("A", Welcome, Chunk)


class JoiningError(Exception):
    """Why this machine's workers cannot come, in one sentence."""


@dataclass(frozen=True, slots=True)
class Master:
    """Where a master listens, and what it asks for."""

    host: str
    port: int
    token: str = ""
    token_named: str = ""
    """Where the token came from, for people."""

    def __str__(self) -> str:
        return str(Place(self.host, self.port))


class Joining:
    """One conversation with a master. `tell` is called once, with a sentence, when it has to be waited for."""

    def __init__(self, master: Master, wait_s: float, tell: Callable[[str], None]) -> None:
        self._master = master
        self._wait_s = wait_s
        self._tell = tell
        self._context = zmq.Context()
        self._socket: Any = self._context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.identity = self._name = f"joining_{uuid4().hex}".encode()
        if master.token:
            encrypt(self._socket, master.token, serves=False)
        self._events: Any = self._socket.get_monitor_socket(SEEN)
        self._reached = False
        """Whether anybody listens there."""
        self._met_s: float | None = None
        """When hands were shaken."""
        self._refused_s: float | None = None
        """Since when they are not."""
        self.place = Place("", master.port)
        """What we dial, by number."""
        self._dialled_s = 0.0
        self._known = True
        """Whether the master's name has an address."""

    def __enter__(self) -> "Joining":
        self._dial()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.disable_monitor()
        self._events.close()
        self._socket.close()
        self._context.term()

    def greet(self, build: Build) -> Welcome:
        """Ask whether we may come; what the plan needs. Raises `JoiningError`."""
        return self._ask(Greeting(dict(build), names.gethostname()), Welcome)

    def bring(self, build: Build, folder: Path) -> Welcome:
        """Greet, and put the plan's files into a folder (see `home_in`). Raises `JoiningError`, `OSError`."""
        welcome = self.greet(build)
        home = home_in(folder, welcome)
        for own in welcome.own:
            find_own(own, folder, home)
        for file in welcome.files:
            self._fetch(file, home)
        return welcome

    def _dial(self) -> bool:
        """Dial the next of the addresses that the master's name has by now; whether that is another than before."""
        self._dialled_s = time.monotonic()
        known = addresses_of(self._master)
        self._known = bool(known)
        turn = known.index(self.place.host) + 1 if self.place.host in known else 0
        if not known or (host := known[turn % len(known)]) == self.place.host:
            return False
        if self.place.host:
            self._socket.disconnect(f"tcp://{self.place}")
        self.place = self.place._replace(host=host)
        self._socket.ipv6 = ":" in host
        self._socket.connect(f"tcp://{self.place}")
        return True

    def _fetch(self, file: SentFile, folder: Path) -> None:
        if not is_safe(file.name):
            raise JoiningError(
                f"the master at {self._master} sends a file of an unusable name, {file.name!r}"
            )
        path = folder / file.name
        try:
            self._write(file, path)
        except OSError as error:  # a full disk does not say of which file
            raise OSError(error.errno, error.strerror, str(path)) from error
        if path.stat().st_size != file.size_bytes or sha256_of(path) != file.sha256:
            raise JoiningError(
                f"{file.name} was changed on the master's machine while it was sent: try again"
            )

    def _write(self, file: SentFile, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            while out.tell() < file.size_bytes:
                chunk = self._ask(Want(file.name, out.tell()), Chunk)
                if (chunk.name, chunk.from_byte) == (
                    file.name,
                    out.tell(),
                ):  # else a second answer to one before
                    out.write(chunk.data)
                if not chunk.data:
                    break

    def _ask(self, asked: Asked, wanted: type[A]) -> A:
        """What the master says to a question. Raises `JoiningError`."""
        frame = msgspec.msgpack.encode((GREETING, encode(asked), self._name.decode()))
        began_s, again_s, told = time.monotonic(), 0.0, False
        while True:
            now_s = time.monotonic()
            if self._met_s is None and now_s - self._dialled_s > NEXT_ADDRESS_S and self._dial():
                again_s = 0.0
            if now_s >= again_s:
                again_s = now_s + ASK_AGAIN_S
                with contextlib.suppress(zmq.Again):  # as long as there is nobody to dial
                    self._socket.send(frame, zmq.NOBLOCK)
            if self._socket.poll(LOOK_MS):
                answer = self._read()
                if isinstance(answer, Refusal):
                    raise JoiningError(f"the master at {self._master} refuses this worker: {answer.reason}")
                if isinstance(answer, wanted):
                    return answer
            self._look_at_connection()
            if not told and self._met_s is None and now_s - began_s > 1:
                told = True
                self._tell(f"waiting for the master at {self._master}{self._why()} …")
            if self._met_s is not None and now_s - max(self._met_s, began_s) > ANSWER_S:
                raise self._no_master()
            if now_s - began_s > self._wait_s:
                raise self._no_master(STARTING) if self._reached else self._nobody()

    def _no_master(self, or_else: str = "") -> JoiningError:
        return JoiningError(
            f"what listens at {self._master} does not answer as a master does: expected the control port of a "
            f"`singlesday run` of this release{or_else}"
        )

    def _nobody(self) -> JoiningError:
        return JoiningError(f"no master answered at {self._master} within {self._wait_s:g} s{self._why()}")

    def _why(self) -> str:
        return "" if self._known else f": this machine knows no address of {self._master.host}"

    def _read(self) -> Answered:
        try:
            _, data, _ = msgspec.msgpack.decode(self._socket.recv(), type=tuple[str, bytes, str])
            return decode_answer(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, GreetingError) as error:
            raise JoiningError(
                f"what listens at {self._master} is no master of this release: {error}"
            ) from error

    def _look_at_connection(self) -> None:
        while self._events.poll(0):
            event = event_in(self._events.recv_multipart())
            now_s = time.monotonic()
            if event == zmq.Event.CONNECTED:
                self._reached = True
            elif event == zmq.Event.HANDSHAKE_SUCCEEDED:
                self._met_s, self._refused_s = now_s, None
            elif event & REFUSALS:
                since_s = self._refused_s = self._refused_s if self._refused_s is not None else now_s
                if now_s - since_s <= REFUSED_FOR_S:
                    continue
                named = self._master.token_named or "no token was given"
                raise JoiningError(
                    f"the master at {self._master} refuses this worker: wrong token ({named}), or what "
                    "listens there is not a master"
                )


def addresses_of(master: Master) -> list[str]:
    """The addresses of the master's host, in the order in which this machine prefers them; none if none is known."""
    try:
        found = names.getaddrinfo(master.host, master.port, type=names.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def home_in(folder: Path, welcome: Welcome) -> Path:
    """Where below `folder` the plan's file goes: so deep that what a script finds by `..` is in `folder` too."""
    ups = max((PurePosixPath(own.name).parts.count("..") for own in welcome.own), default=0)
    return folder.joinpath(*[_LEVEL] * ups)


def find_own(own: OwnFile, folder: Path, home: Path) -> None:
    """Have a file that is not sent found where the script looks for it, from the plan's `home` on inside `folder`.

    Raises `JoiningError`, `OSError`.
    """
    path = Path(own.path)
    if not path.is_file():
        raise JoiningError(
            f"{path}: the plan needs this file, and it is not sent: copy it here from the master's machine"
        )
    if path.stat().st_size != own.size_bytes:
        raise JoiningError(
            f"{path}: expected the same {own.size_bytes:,} bytes as on the master's machine, got "
            f"{path.stat().st_size:,}: copy it here again"
        )
    link = Path(os.path.normpath(home / own.name))
    if own.name and link.is_relative_to(folder) and not link.exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
