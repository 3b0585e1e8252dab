"""A target whose paths say how it treats who asks; many runs may share it. Prints its port.

`/ok` 200, `/status/503` that status at once, `/slow/300` 200 after so many milliseconds, `/hang` nothing, `/half`
the beginning of a body, `/reset` a TCP reset, `/hang-after/NAME/10` nothing any more after ten answers; all else 404.
"""

import asyncio
import socket
import struct
import sys
from collections import Counter

answered: Counter[str] = Counter()


def reply(status: int, body: bytes) -> bytes:
    return f"HTTP/1.1 {status} Some\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            await reader.readexactly(
                sum(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
            )
            if not await answer(head.split()[1].decode(), writer):
                return
    except (asyncio.IncompleteReadError, ConnectionError):
        return
    finally:
        writer.close()


async def answer(path: str, writer: asyncio.StreamWriter) -> bool:
    """Treat one request; False if the connection is of no more use."""
    _, route, *arguments = path.split("/")
    if route == "hang-after":
        answered[arguments[0]] += 1
        route = "ok" if answered[arguments[0]] <= int(arguments[1]) else "hang"
    if route == "hang":
        await asyncio.sleep(3600)
    elif route == "half":
        writer.write(reply(200, b"x" * 100)[:-50])
        return False
    elif route == "reset":
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        return False
    elif route == "slow":
        await asyncio.sleep(int(arguments[0]) / 1000)
    status = int(arguments[0]) if route == "status" else 200 if route in ("ok", "slow") else 404
    writer.write(reply(status, b'{"token": "t0p-s3cret", "said": "hello"}'))
    return True


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=512)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
