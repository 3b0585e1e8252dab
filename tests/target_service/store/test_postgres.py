"""What is said of a PostgreSQL store that cannot be opened; `tests/contract` and `tests/system` open it."""

import asyncio

import pytest

from target_service import purge
from target_service.store.base import StoreOpenError, StoreSettings
from target_service.store.postgres import PostgresStore

DSNS = [
    "postgresql://u:sesame9/x@127.0.0.1:1/d",
    "postgresql://u:sesame9?x@127.0.0.1:1/d",
    "postgresql://u:sesame9#x@127.0.0.1:1/d",
    "postgresql://u:x@127.0.0.1:sesame9/d",
]


@pytest.mark.parametrize("dsn", DSNS)
def test_an_address_that_cannot_be_read_is_refused_without_a_piece_of_its_password(dsn: str) -> None:
    store = PostgresStore(StoreSettings(dsn, 1, 1.0, shared=False))
    with pytest.raises(StoreOpenError, match="expected a number for the port") as refused:
        asyncio.run(store.open())
    assert "sesame9" not in str(refused.value)


def test_a_purge_masks_what_a_library_says_of_its_store(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refuse(dsn: str, _run_id: str) -> int:
        raise StoreOpenError(f"no store at {dsn}")

    monkeypatch.setattr(purge, "purge", refuse)
    monkeypatch.setattr("sys.argv", ["purge", "run-1", "--store", "postgresql://u:sesame9@h/d"])
    with pytest.raises(SystemExit) as ended:
        purge.main()
    assert ended.value.code == 2
    assert "sesame9" not in capsys.readouterr().err
