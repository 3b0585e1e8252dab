"""Slow clients: each sends the head of an order at once, and then a byte of its body every second.

    python -m benchmarks.service.slow_clients PORT CLIENTS

It stands for other machines (see `benchmarks.service.elsewhere`), and is frugal: it has no event loop, it goes round
its sockets at an even pace. `ready` is printed when all are connected. Who is cut off (the service answers 408 when a
body does not come) connects anew. Ends when its standard input is closed.
"""

import contextlib
import select
import socket
import sys
import time

from benchmarks.service.elsewhere import elsewhere, give_way, say_ready

PAUSE_S = 1.0
"""Between two bytes of one client."""
TICK_S = 0.002
HEAD = b"POST /orders HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n"


def connect(port: int) -> socket.socket:
    """A client that has sent its head."""
    client = socket.create_connection(("127.0.0.1", port))
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(HEAD)
    client.setblocking(False)
    return client


def is_cut_off(client: socket.socket) -> bool:
    """Send a byte; whether the service has answered or closed instead."""
    try:
        client.recv(1)
    except BlockingIOError:
        client.send(b" ")
        return False
    return True


def dribble(port: int, count: int) -> None:
    """Go round the clients until standard input ends."""
    clients = [connect(port) for _ in range(count)]
    say_ready()
    began, turn = time.monotonic(), 0
    while not select.select([sys.stdin], [], [], TICK_S)[0]:
        while turn < (time.monotonic() - began) / PAUSE_S * count:
            place = turn % count
            turn += 1
            try:
                cut_off = is_cut_off(clients[place])
            except ConnectionError:
                cut_off = True
            if cut_off:
                clients[place].close()
                clients[place] = connect(port)


def slow_clients(port: int, count: int) -> contextlib.AbstractContextManager[None]:
    """Have so many slow clients connected, from a process of their own."""
    return elsewhere("benchmarks.service.slow_clients", str(port), str(count))


if __name__ == "__main__":
    give_way()
    dribble(int(sys.argv[1]), int(sys.argv[2]))
