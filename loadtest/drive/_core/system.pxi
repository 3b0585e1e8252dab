# What the core calls of the operating system, of CPython and of greenlet.

cdef extern from * nogil:
    # The C library's own lets a thread be cancelled meanwhile, at a cost in each call of a process that has several.
    """
    #include <sys/socket.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    #define core_recv(fd, data, size) syscall(SYS_recvfrom, fd, data, size, 0, NULL, NULL)
    #define core_send(fd, data, size) syscall(SYS_sendto, fd, data, size, MSG_NOSIGNAL, NULL, 0)
    """
    ssize_t core_recv(int, void *, size_t)
    ssize_t core_send(int, const void *, size_t)

cdef extern from "<sys/epoll.h>" nogil:
    unsigned int EPOLLIN, EPOLLRDHUP
    int EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL
    ctypedef union epoll_data_t:
        void *ptr
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_create1(int)
    int epoll_ctl(int, int, int, epoll_event *)
    int epoll_wait(int, epoll_event *, int, int)

cdef extern from "greenlet/greenlet.h":
    ctypedef class greenlet.greenlet [object PyGreenlet]:
        pass
    greenlet PyGreenlet_GetCurrent()
    object PyGreenlet_Switch(greenlet, PyObject *, PyObject *)
    void PyGreenlet_Import()

cdef extern from *:
    int __builtin_clzll(unsigned long long) nogil
    bint PyUnicode_IS_COMPACT_ASCII(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)
    const char *PyUnicode_DATA(object)
    PyObject **_PyObject_GetDictPtr(object)
    long long PyLong_AsLongLongAndOverflow(object, int *) except? -1
    int PyDict_Contains(object, object) except -1
    object PyType_GenericAlloc(PyTypeObject *, Py_ssize_t)
    void Py_SET_SIZE(object, Py_ssize_t)
    ctypedef struct PyListObject:
        Py_ssize_t allocated

cdef extern from *:
    """
    #ifndef CORE_SOURCES
    #define CORE_SOURCES "not told"
    #endif
    """
    const char *CORE_SOURCES

PyGreenlet_Import()

SOURCES = CORE_SOURCES.decode()  # see `sources.fingerprint`

cdef int64_t NEVER = INT64_MAX


cdef inline int64_t monotonic_ns() noexcept nogil:
    """The clock of `time.monotonic_ns`."""
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <int64_t>t.tv_sec * 1000000000 + t.tv_nsec


cdef inline int64_t later_ns(int64_t from_ns, int64_t by_ns) noexcept nogil:
    """`from_ns + by_ns`, or NEVER where that would overflow."""
    return NEVER if by_ns > NEVER - from_ns else from_ns + by_ns
