"""TLS between memory and a socket, in Python: the twin of `secured.pxi`."""

from ssl import MemoryBIO, SSLObject


class Secured:
    """TLS between memory and a socket: what the core needs of it."""

    def __init__(self, tls: SSLObject, incoming: MemoryBIO, outgoing: MemoryBIO) -> None:
        self.tls_write = tls.write
        self.tls_read = tls.read
        self.outgoing_read = outgoing.read
        self.incoming = incoming
        self.incoming_write = incoming.write
        self.unsent = b""
        """What has been encrypted and not been sent."""
        self.accepted_bytes = 0
        """How much of what was to be sent is in `unsent`, and has not been told as sent."""
        self.session_kept = False
        self.ended = False
        """Whether the server has announced that it sends nothing more (close_notify)."""
