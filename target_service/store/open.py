"""Which store a DSN means."""

from target_service.store.base import CommitObserver, Store, StoreSettings
from target_service.store.sqlite import SqliteStore


def make_store(settings: StoreSettings, observer: CommitObserver) -> Store:
    """The store that the DSN names, not opened yet."""
    if settings.dsn.startswith("sqlite:"):
        return SqliteStore(settings, observer)
    # asyncpg is an extra: only PostgreSQL needs it.
    from target_service.store.postgres import PostgresStore  # noqa: PLC0415

    return PostgresStore(settings, observer)
