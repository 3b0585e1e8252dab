# TLS between memory and a socket: what a `Line` needs of it. The encryption is Python's `ssl`, which is OpenSSL.

cdef enum:
    MOST_RECORD_BYTES = 16384  # of plain text in one TLS record

cdef bytearray plain_bytes = bytearray(RECV_BYTES)  # of no use across a switch: every stream decrypts into it


cdef class Secured:
    """What `TlsStream` is derived from. Its Python twin is `pure.Secured`."""

    cdef public object tls_write, tls_read, incoming, incoming_write, outgoing_read
    cdef public bytes unsent
    cdef public Py_ssize_t accepted_bytes
    cdef public bint ended, session_kept

    def __init__(self, tls, incoming, outgoing):
        self.tls_write, self.tls_read, self.outgoing_read = tls.write, tls.read, outgoing.read
        self.incoming, self.incoming_write = incoming, incoming.write
        self.unsent = b""

    @cython.final
    cdef Py_ssize_t decrypt(self) except -1:
        """Decrypt one record into `plain_bytes`; 0: there is none, or it says that no other will come."""
        try:
            return self.tls_read(RECV_BYTES, plain_bytes)
        except SSLWantReadError:
            return 0
