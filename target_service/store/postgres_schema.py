"""The PostgreSQL database's schema, as numbered migrations.

The tables are those of `store.sqlite`, column for column. Table `schema_version` holds the number of the last
migration; an advisory lock makes service machines that start together take turns. Programs of schema 2 to 4 kept a
product's stock in several rows: they are stopped before the first of schema 5 starts.
"""

# ruff: noqa: S608 - only our own table names are put into statements

from typing import Any

from target_service.store.tables import first_schema, region_schema, sweeping_schema

MIGRATION_LOCK = 0x0_5EED
"""Any number will do, as long as no other program uses it in the same database."""

LONGEST_MIGRATION_S = 3600.0


def _stock_buckets(prefix: str) -> str:
    """Stock in several rows, its buckets, of which number 0 bore `initial`."""
    return f"""
        ALTER TABLE {prefix}stock ADD COLUMN bucket integer NOT NULL DEFAULT 0 CHECK (bucket >= 0);
        ALTER TABLE {prefix}stock DROP CONSTRAINT {prefix}stock_pkey, ADD PRIMARY KEY (run_id, sku_no, bucket);
    """


def _one_row(prefix: str) -> str:
    """One row a product again: buckets cost more than they brought."""
    return f"""
        UPDATE {prefix}stock AS first SET available = first.available + more.units
            FROM (SELECT run_id, sku_no, sum(available) AS units FROM {prefix}stock WHERE bucket > 0
                GROUP BY run_id, sku_no) AS more
            WHERE first.bucket = 0 AND first.run_id = more.run_id AND first.sku_no = more.sku_no;
        DELETE FROM {prefix}stock WHERE bucket > 0;
        ALTER TABLE {prefix}stock DROP CONSTRAINT {prefix}stock_pkey, DROP COLUMN bucket;
        ALTER TABLE {prefix}stock ADD PRIMARY KEY (run_id, sku_no);
    """


MIGRATIONS: tuple[str, ...] = (
    ";".join(
        (
            "CREATE TABLE writers (writer_id bigserial PRIMARY KEY, started_at timestamptz NOT NULL DEFAULT now())",
            *first_schema("bigint", " WITH (fillfactor = 50)"),
        )
    ),
    _stock_buckets("") + _stock_buckets("shadow_"),
    ";".join(sweeping_schema("bigint")),
    ";".join(region_schema()),
    _one_row("") + _one_row("shadow_"),
)
"""Each entry brings the schema one version further; entries are only ever added at the end."""


class NewerSchemaError(Exception):
    """The database was migrated by a later version of this program."""


async def migrate(connection: Any) -> None:
    """Apply what migrations are missing. Raises NewerSchemaError and asyncpg's errors."""
    async with connection.transaction():
        await connection.execute(
            "SELECT pg_advisory_xact_lock($1)", MIGRATION_LOCK, timeout=LONGEST_MIGRATION_S
        )
        await connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version integer NOT NULL)")
        version = await connection.fetchval("SELECT max(version) FROM schema_version") or 0
        if version > len(MIGRATIONS):
            raise NewerSchemaError(f"schema version {version} is newer than this program's {len(MIGRATIONS)}")
        for number, migration in enumerate(MIGRATIONS[version:], version + 1):
            await connection.execute(migration, timeout=LONGEST_MIGRATION_S)
            await connection.execute("INSERT INTO schema_version VALUES ($1)", number)
