# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, binding=False
"""The native core of the client: what every request needs, and nothing that decides.

One module, so that calls between its parts are C calls and one compilation makes it; a part is a file with one noun.
ARCHITECTURE.md says who owns which memory, and which dangers tests hold off.
"""

import os
import sys
from ssl import SSLWantReadError
from time import monotonic_ns as python_monotonic_ns

from gevent import get_hub

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_SetFromErrno
from cpython.object cimport PyObject, PyTypeObject
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE, PyList_SET_ITEM
from cpython.ref cimport Py_DECREF, Py_INCREF
from cpython.tuple cimport PyTuple_SET_ITEM
from libc.errno cimport EAGAIN, EBADF, EINTR, errno
from libc.math cimport isfinite
from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr, memcmp, memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from posix.unistd cimport close, read

cdef enum:
    MOST_NATIVE_BYTES = 16777216  # of a response received in pieces; a larger one is the reader's
    MOST_TEMPLATES = 256
    MOST_TALLIES = 4096
    MOST_JSON_DEPTH = 64

cdef tuple EMPTY = ()

include "system.pxi"
include "scan.pxi"
include "poller.pxi"
include "secured.pxi"
include "line.pxi"
include "times.pxi"
include "tally.pxi"
include "template.pxi"
include "ahead.pxi"
include "timerfd.pxi"
include "dispatch.pxi"
include "received.pxi"
include "messenger.pxi"
include "serving.pxi"
