"""What asyncpg reads from the server, watched: messages whose length is impossible end the connection.

asyncpg 0.31 and 0.32 read a message shorter than its own length field for ever, without giving the event loop back.
What stands on the database's port by mistake may send such a thing: 64 zero bytes will do.
"""

import asyncio
import struct
from typing import Any

import asyncpg.protocol

_HEAD = struct.Struct(">xi")
"""A message's kind, and its length without that (PostgreSQL's documentation, "Message Formats")."""
_SHORTEST = 4
"""The length counts itself."""


class WatchedProtocol(asyncpg.protocol.Protocol):  # type: ignore[misc]  # asyncpg has no types
    """asyncpg's side of one connection."""

    _transport: asyncio.Transport
    _begun = b""
    """The first bytes of a head that has not come whole."""
    _to_come = 0
    """How many bytes are left of the message that has begun."""

    def connection_made(self, transport: Any) -> None:
        """The connection is there."""
        self._transport = transport
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Bytes have come: for asyncpg, if they can be messages."""
        seen, at = self._begun + data, self._to_come
        while at + _HEAD.size <= len(seen):
            (length,) = _HEAD.unpack_from(seen, at)
            if length < _SHORTEST:
                self._transport.abort()
                return
            at += 1 + length
        self._begun, self._to_come = seen[at:], max(0, at - len(seen))
        super().data_received(data)


def watch_messages() -> None:
    """Have asyncpg use it for every connection from now on; it takes no protocol of its user's."""
    asyncpg.protocol.Protocol = WatchedProtocol
