"""Kills, timeouts and closed connections under the native core: `python -m benchmarks.client.stress 1000000`.

A server answers most requests and treats the others badly: closes, stalls, sends in pieces, in chunks, cut short, or
rubbish. Sixteen users send to it, one of which is killed every few milliseconds. No request may bring another's
answer, each that ended must be counted once, and memory must stay where it was.
"""

import argparse
import gc
import random
import sys
import time
from typing import Any, NamedTuple

import gevent
from gevent.server import StreamServer
from locust.env import Environment

from benchmarks.client.process import resident_mb
from loadtest.drive.agent import SessionSettings
from loadtest.drive.recorder import Recorder, recorder_for
from loadtest.drive.session import Session

USERS = 16
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


class Stressed(NamedTuple):
    """What came of a stress."""

    ended: int
    counted: int
    failed: int
    wrong: int
    kills: int
    grown_mb: float


def _answers(body: bytes) -> list[tuple[float, list[bytes], bool]]:
    """How the server may answer with `body`: (share, pieces with a pause between, whether it then closes)."""
    whole = _HEAD % len(body) + body
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (
        len(body),
        body,
    )
    return [
        (0.8, [whole], False),
        (0.04, [whole[:-1], whole[-1:]], False),
        (0.04, [chunked], False),
        (0.04, [b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"], False),
        (0.02, [whole + b"unasked for"], False),
        (0.02, [whole[:-1]], True),
        (0.01, [b"rubbish\r\n\r\n"], True),
        (0.028, [], True),
        (0.002, [], False),  # the client gives up
    ]


def _answer(sock: Any, _address: Any) -> None:
    """Serve one connection. Each answer's body is the path that was asked for."""
    rng = random.Random()
    closes = False
    try:
        while not closes and (request := sock.recv(65536)):
            answers = _answers(request.split(b" ", 2)[1])
            ((_, pieces, closes),) = rng.choices(answers, [share for share, _, _ in answers])
            for number, piece in enumerate(pieces):
                gevent.sleep(0.001 * number)
                sock.sendall(piece)
    except OSError:
        pass
    finally:
        sock.close()


class _Users:
    def __init__(self, url: str, recorder: Recorder, most: int) -> None:
        self._url, self._recorder, self._most = url, recorder, most
        self.ended = self.failed = self.wrong = 0

    def run(self) -> None:
        """Send requests until there have been enough."""
        session = Session(self._url, self._recorder, None, SessionSettings(network_timeout=0.1))
        number = 0
        while self.ended < self._most:
            number += 1
            path = f"/{number}-{random.random()}"
            if number % 3:
                response = session.get(path, name="get", headers={"X": str(number)} if number % 2 else None)
            else:
                with session.post(path, json={"n": number}, name="post", catch_response=True) as response:
                    pass
            self.ended += 1
            self.failed += response.error is not None
            self.wrong += response.error is None and response.content != path.encode()


def stress(requests: int) -> Stressed:
    """Send so many requests."""
    server = StreamServer(("127.0.0.1", 0), _answer)
    server.start()
    environment = Environment()
    recorder = recorder_for(environment)
    users = _Users(f"http://127.0.0.1:{server.server_port}", recorder, requests)
    greenlets = [gevent.spawn(users.run) for _ in range(USERS)]
    kills, settled_mb = 0, 0.0
    while not all(greenlet.ready() for greenlet in greenlets):
        gevent.sleep(0.005)
        if users.ended < requests:
            victim = random.randrange(USERS)
            greenlets[victim].kill(block=False)
            greenlets[victim] = gevent.spawn(users.run)
            kills += 1
        if not settled_mb and users.ended > requests * 0.3:
            gc.collect()
            settled_mb = resident_mb()
    recorder.close()
    server.stop()
    gc.collect()
    counted = environment.stats.total.num_requests
    return Stressed(users.ended, counted, users.failed, users.wrong, kills, resident_mb() - settled_mb)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("requests", type=int, nargs="?", default=1_000_000)
    begun_s = time.monotonic()
    stressed = stress(parser.parse_args().requests)
    print(f"{time.monotonic() - begun_s:.0f} s: {stressed}")
    # A user killed between the count and his own is the one that may be missing.
    good = (
        not stressed.wrong
        and 0 <= stressed.counted - stressed.ended <= stressed.kills
        and stressed.grown_mb < 20
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
