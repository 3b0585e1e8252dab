"""What is PostgreSQL's own: the writer lives whatever answers on its port, and what is committed is on disk."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from target_service.orders import Receipt
from target_service.store.base import (
    FateUnknownError,
    StoreOpenError,
    StoreSettings,
    StoreUnavailableError,
)
from target_service.store.store import Store, make_store
from tests.contract.conftest import REFUSED_AFTER_S, WAIT_S, Unobserved, in_vain
from tests.contract.postgres_server import PostgresServer
from tests.contract.test_store import opened, purchase, run
from tests.timing import Timing

_numbers = itertools.count()


@pytest.fixture
def dsn(postgres: PostgresServer) -> str:
    """A database of the test's own."""
    return postgres.create_database(f"writer_{next(_numbers)}")


def store_at(dsn: str, wait_s: float = WAIT_S) -> Store:
    return make_store(StoreSettings(dsn, 1000, wait_s, shared=True), Unobserved())


class Proxy:
    """Stands before PostgreSQL; then something else answers in its place."""

    def __init__(self, dsn: str) -> None:
        self._database = urlsplit(dsn)
        self._writers: set[asyncio.StreamWriter] = set()
        self._foreign: bytes | None = None

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listen; the DSN that leads through here."""
        async with await asyncio.start_server(self._accept, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            try:
                yield f"postgresql://shop@127.0.0.1:{port}{self._database.path}?sslmode=disable"
            finally:
                self.cut()

    def answer_with(self, foreign: bytes | None) -> None:
        """From now on every connection is told this; nothing at all if it is empty, PostgreSQL's answers if None."""
        self._foreign = foreign
        self.cut()

    def cut(self) -> None:
        """Break every connection."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if self._foreign is not None:
            await reader.read(1000)
            if self._foreign:
                writer.write(self._foreign)
            return
        there, back = await asyncio.open_connection(self._database.hostname, self._database.port)
        self._writers.add(back)
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()


class Breaking(Proxy):
    """Breaks every connection, once, as soon as PostgreSQL answers a message that has some words."""

    words: bytes | None = None
    _is_asked = False

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                if self._is_asked:
                    self._is_asked, self.words = False, None
                    self.cut()
                    return
                self._is_asked = self.words is not None and self.words in data
                writer.write(data)
        writer.close()


FOREIGN = (
    b"HTTP/1.1 503 Service Unavailable\r\n\r\n<html>",
    b"N",
    b"S",
    b"E\0\0\0\x05\0",
    b"R\0\0\0\x08\0\0\0\x63",
    b"R\0\0\0\x0c\0\0\0\x05abcd",
    b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05X",
    b"R\0\0\0\x08\0\0\0\0D\0\0\0\x06\xff\xff",
    b"Z\0\0\0\x05I",
    b"R\x7f\xff\xff\xff" + b"a" * 100,
    b"-ERR unknown command\r\n",
    b"\xff" * 100,
    b"\0" * 64,
    b"R\0\0\0\x08\0\0\0\0" + b"\0" * 64,
    b"R\0\0\0\x03" + b"R" * 64,
    b"",
)


# asyncpg deletes connections that it has half made, and stumbles.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("foreign", FOREIGN)
def test_whatever_answers_in_its_place_changes_are_refused_in_time_and_then_made_again(
    dsn: str, foreign: bytes, timing: Timing
) -> None:
    async def scenario() -> None:
        proxy = Proxy(dsn)
        async with proxy.listening() as through, opened(store_at(through)) as store:
            await store.write(purchase((1, 1)))
            proxy.answer_with(foreign)
            began_s = time.monotonic()
            with in_vain(store):
                await refused_by(store)
            with timing:
                assert time.monotonic() - began_s < 20 * REFUSED_AFTER_S
            proxy.answer_with(None)
            assert await until_made(store) < 20

    run(scenario())


@pytest.mark.parametrize(
    ("words", "told", "stored"),
    [(b"hashtextextended", StoreUnavailableError, 0), (b"COMMIT\0", FateUnknownError, 1)],
)
def test_an_order_may_be_stored_whose_connection_broke_at_its_commit_and_is_not_if_it_broke_before(
    dsn: str, words: bytes, told: type[Exception], stored: int
) -> None:
    async def scenario() -> None:
        proxy, wanted = Breaking(dsn), purchase((1, 1), key="k")
        async with proxy.listening() as through, opened(store_at(through)) as store:
            proxy.words = words
            with pytest.raises(StoreUnavailableError) as raised:
                await store.write(wanted)
            assert raised.type is told
            assert (await store.stock("", 1)).available == 1000 - stored
            again = await store.write(wanted)
            assert (again.replayed, again.orders) == (bool(stored), wanted.orders)

    run(scenario())


def test_an_order_is_not_stored_whose_commit_the_server_refuses(dsn: str) -> None:
    async def scenario() -> None:
        async with opened(store_at(dsn)) as store:
            admin = await asyncpg.connect(dsn)
            await admin.execute(REFUSING)
            with pytest.raises(StoreUnavailableError, match="not today") as raised:
                await store.write(purchase((1, 1)))
            assert raised.type is StoreUnavailableError
            assert (await store.stock("", 1)).available == 1000
            await admin.close()

    run(scenario())


REFUSING = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today'; END $$;
    CREATE CONSTRAINT TRIGGER refusing AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION refuse();
"""
"""What lets every statement through, and no COMMIT."""


async def refused_by(store: Store) -> None:
    """Ask for everything that a store does, in vain."""
    answers = await asyncio.gather(
        *(store.write(purchase((1, 1))) for _ in range(20)), return_exceptions=True
    )
    assert {type(answer) for answer in answers} == {StoreUnavailableError}
    with pytest.raises(StoreUnavailableError):
        await store.ping()
    with pytest.raises(StoreUnavailableError):
        await store.stock("", 1)


async def until_made(store: Store) -> int:
    """Buy until it works; how often it did not."""
    for refused in range(50):
        with contextlib.suppress(StoreUnavailableError):
            assert isinstance(await store.write(purchase((1, 1))), Receipt)
            return refused
        await asyncio.sleep(0.05)
    raise AssertionError("the writer is dead")


@pytest.mark.parametrize("how", ["database", "role", "dsn", "later"])
def test_commits_are_on_disk_whatever_the_server_is_set_to(
    postgres: PostgresServer, dsn: str, how: str
) -> None:
    database = urlsplit(dsn).path[1:]
    settings = {
        "database": f"ALTER DATABASE {database} SET synchronous_commit = off",
        "role": f"ALTER ROLE shop IN DATABASE {database} SET synchronous_commit = off",
    }

    async def scenario() -> None:
        admin = await asyncpg.connect(dsn)
        if how in settings:
            await admin.execute(settings[how])
        asked = f"{dsn}?synchronous_commit=off" if how == "dsn" else dsn
        async with opened(store_at(asked)) as store:
            await store.write(purchase((1, 1)))
            if how == "later":
                await admin.execute("ALTER SYSTEM SET synchronous_commit = off")
                await admin.execute("SELECT pg_reload_conf()")
            await store.write(purchase((1, 1)))
            connection = store._session.connection  # type: ignore[attr-defined]  # no other way to ask it
            assert await connection.fetchval("SHOW synchronous_commit") == "on"
        await admin.execute("ALTER SYSTEM RESET synchronous_commit")
        await admin.execute("SELECT pg_reload_conf()")
        await admin.close()

    run(scenario())


def test_a_database_that_was_made_anew_under_it_is_taken_up(postgres: PostgresServer, dsn: str) -> None:
    database = urlsplit(dsn).path[1:]

    async def scenario() -> int:
        async with opened(store_at(dsn)) as store:
            await store.write(purchase((1, 1)))
            admin = await asyncpg.connect(postgres.dsn("postgres"))
            await admin.execute(f"DROP DATABASE {database} WITH (FORCE)")
            with in_vain(store), pytest.raises(StoreUnavailableError):
                await store.write(purchase((1, 1)))
            await admin.execute(f"CREATE DATABASE {database}")
            await until_made(store)
            await store.ping()
            await admin.close()
            return (await store.stock("", 1)).available

    assert run(scenario()) == 999


def test_a_store_without_readers_leaves_no_connection_that_writes_behind(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionRefusedError

    async def scenario() -> None:
        admin = await asyncpg.connect(dsn)
        store = store_at(dsn)
        monkeypatch.setattr(asyncpg, "create_pool", refuse)
        with pytest.raises(StoreUnavailableError):
            await store.open()
        async with asyncio.timeout(WAIT_S):
            while await admin.fetchval(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ):
                await asyncio.sleep(0.02)
        assert store._session is None  # type: ignore[attr-defined]  # and so it was not only found by the search for garbage
        await admin.close()

    run(scenario())


def test_a_server_that_breaks_off_every_connection_costs_one_answer_each(dsn: str) -> None:
    async def scenario() -> None:
        admin = await asyncpg.connect(dsn)
        async with opened(store_at(dsn)) as store:
            for _ in range(5):
                await admin.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                assert await until_made(store) <= 1
        await admin.close()

    run(scenario())


@pytest.mark.parametrize(("version", "which"), [(4, "older"), (99, "newer")])
def test_the_tables_of_another_program_are_left_alone(dsn: str, version: int, which: str) -> None:
    async def scenario() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE TABLE schema_version (version integer NOT NULL)")
        await connection.execute("INSERT INTO schema_version VALUES ($1)", version)
        await connection.close()
        with pytest.raises(StoreOpenError, match=rf"{which} release \(schema version {version},"):
            await store_at(dsn).open()

    run(scenario())
