"""Feeds the response reader mutated responses for as long as asked: `python -m benchmarks.client.fuzz
10000000`.

Each case is a well-formed response (or two) with bytes flipped, cut, doubled or spliced, fed at random
cuts. It must end in a complete response or one of the reader's two named errors; memory must stay where it
was. Seeded: a failure prints the case's number, and `--seed` with `--from` meets it again.
"""

import argparse
import random
import sys
import time
from collections import Counter

from benchmarks.client.process import resident_mb
from loadtest.drive.errors import ConnectionClosedError, ProtocolError
from loadtest.drive.http1 import Limits, ResponseReader, parse_head

SEEDS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-One: 1\r\n\r\nhello",
    b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 9\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nall that follows",
    b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 400\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 302 Found\r\nLocation: /x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n\x00\x00",
]
_TOKENS = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b"\x00",
    b":",
    b" ",
    b"0",
    b"-1",
    b"f" * 20,
    b"chunked",
    b"HTTP/1.1 ",
]
_LIMITS = Limits(head_bytes=4096, body_bytes=4096)


def mutated(rng: random.Random) -> bytes:
    """A response with up to six things wrong with it."""
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randrange(7)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(6):
            case 0:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del data[at : at + rng.randrange(1, 9)]
            case 2:
                data[at:at] = rng.choice(_TOKENS)
            case 3:
                data[at:at] = data[at : at + rng.randrange(1, 30)]
            case 4:
                data[at:] = rng.choice(SEEDS)[at:]
            case _:
                data += rng.choice(SEEDS)
    return bytes(data)


def outcome_of(data: bytes, rng: random.Random) -> str:
    """Feed `data` at random cuts and name what came of it. Anything but the named errors is raised."""
    reader = ResponseReader(_LIMITS)
    reader.begin(head_only=rng.random() < 0.1)
    at, most = 0, rng.choice((1, 3, 16, len(data) or 1))
    try:
        while at < len(data):
            size = rng.randrange(1, most + 1)
            if reader.feed(data[at : at + size]):
                break
            at += size
        reader.feed_eof()
    except ProtocolError:
        return "protocol"
    except ConnectionClosedError:
        return "closed"
    if not (reader.complete and reader.head and 200 <= reader.status <= 999):
        raise AssertionError(f"complete without a head or a status: {data!r}")
    parse_head(reader.head)
    reader.take_body()
    return "complete"


def fuzz(cases: int, seed: int, first: int = 0) -> Counter[str]:
    """Run `cases` cases from number `first` on; return how many ended how. Raises at the first that fails."""
    outcomes: Counter[str] = Counter()
    for number in range(first, first + cases):
        rng = random.Random(f"{seed}/{number}")
        try:
            outcomes[outcome_of(mutated(rng), rng)] += 1
        except Exception as error:
            raise AssertionError(f"case {number} of seed {seed} failed") from error
    return outcomes


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", dest="first", type=int, default=0)
    arguments = parser.parse_args()
    fuzz(1000, arguments.seed, arguments.first)  # what is allocated once is not a leak
    before_mb, begun_s = resident_mb(), time.monotonic()
    outcomes = fuzz(arguments.cases, arguments.seed, arguments.first)
    grown_mb = resident_mb() - before_mb
    took_s = time.monotonic() - begun_s
    print(f"{arguments.cases} cases in {took_s:.0f} s: {dict(outcomes)}; grown by {grown_mb:.1f} MB")
    return 1 if grown_mb > 5 else 0


if __name__ == "__main__":
    sys.exit(main())
