"""Holds the native scan against the response reader: `python -m benchmarks.client.fuzz_scan 10000000`.

Each case is a response that is plain or nearly so, with bytes changed, cut, doubled or spliced. Whatever the
scan calls plain, the reader must read as one whole response with the same status and body, after which the
connection lives; whatever it calls unfinished, the reader must take for that, and read alike once the missing
bytes have come. Seeded: a failure prints the bytes.
"""

import argparse
import random
import sys
import time
from collections import Counter

from loadtest.drive._core.native import scan
from loadtest.drive.errors import ConnectionClosedError, ProtocolError
from loadtest.drive.http1 import ResponseReader
from loadtest.drive.sender import careful_header

SEEDS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-One: 1\r\n\r\nhello",
    b"HTTP/1.1 201 Created\r\nServer: x\r\nConnection: keep-alive\r\ncontent-length:0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nDate: today\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n"
    + b"z" * 60,
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 30\r\n\r\n" + b"\r\n" * 15,
    b"HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nbody",
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nSet-Cookie: a=b\r\n\r\nno",
    b"HTTP/1.1 200\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
    b"HTTP/1.1 200 OK\r\nProxy-Connection: close\r\nContent-Length: 1\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 1\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
]
_TOKENS = [
    *(
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\r",
        b"\x00",
        b"\x7f",
        b"\xff",
        b"\t",
        b":",
        b" ",
        b"0",
        b"1",
        b"-",
        b"+",
    ),
    *(b"Content-Length: 5\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"connection:\r\n"),
    *(b"Connection: keep-alive, close\r\n", b"Transfer-Encoding: identity\r\n", b"Set-Cookie: c=d\r\n"),
    *(b"Proxy-Connection: keep-alive\r\n", b" folded\r\n", b"HTTP/1.1 ", b"content-encoding: br\r\n"),
]


def mutated(rng: random.Random) -> bytes:
    """A response with up to four things changed."""
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(7):
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
            case 5:
                end_of_line = data.find(b"\r\n", at)
                data[end_of_line + 2 : end_of_line + 2] = rng.choice(_TOKENS)
            case _:
                del data[-rng.randrange(1, 40) :]
    return bytes(data)


def disagreement(data: bytes) -> str:
    """How the scan and the reader differ over `data`; "" if they do not."""
    answer, status, careful, body_at, total_bytes = scan(data)
    if answer == "not plain":
        return ""
    reader = ResponseReader()
    reader.begin()
    missing = b"y" * (total_bytes - len(data))
    try:
        complete = reader.feed(data)
        if answer == "unfinished":
            if complete or not reader.head_complete:
                return f"the reader takes an unfinished one for complete={complete}"
            complete = reader.feed(missing)
    except (ProtocolError, ConnectionClosedError) as error:
        return f"the reader refuses a {answer} one: {error}"
    read = (complete, reader.keep_alive, reader.status, reader.take_body())
    scanned = (True, True, status, data[body_at:] + missing)
    if read != scanned:
        return f"the reader reads {read}, the scan {scanned}"
    if not careful and careful_header(reader.head):
        return "the scan overlooks a header that needs care"
    return ""


def fuzz(cases: int, seed: int) -> Counter[str]:
    """Run `cases` cases and return how many got which answer. Raises `AssertionError` at the first disagreement."""
    answers: Counter[str] = Counter()
    rng = random.Random(seed)
    for _ in range(cases):
        data = mutated(rng)
        difference = disagreement(data)
        if difference:
            raise AssertionError(f"{difference}: {data!r}")
        answers[scan(data)[0]] += 1
    return answers


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    begun_s = time.monotonic()
    answers = fuzz(arguments.cases, arguments.seed)
    print(f"{arguments.cases} cases in {time.monotonic() - begun_s:.0f} s: {dict(answers)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
