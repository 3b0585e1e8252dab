"""`python -m target_service.purge RUN [--store DSN]`: delete what a load-test run left in the shadow tables.

May run beside the service. Live data cannot be purged: a run id is needed, and the tables are the shadow's.
"""

import argparse
import asyncio
import os
import sys
import time
from urllib.parse import urlsplit

from target_service.config import EXIT_FAILURE, store_dsn
from target_service.problem import ProblemError
from target_service.secrets import MaskingFormatter, secrets_of
from target_service.store import base
from target_service.store.sqlite import database_path
from target_service.store.store import make_store
from target_service.tags import RUN_HEADER, run_id_of

WAIT_S = 30.0
DEFAULT = "sqlite:///orders.db"


async def purge(dsn: str, run_id: str) -> int:
    """Delete a run's orders, stock and parcels, chunk by chunk; return how many orders it had.

    If the run still goes on, what it adds after the last chunk stays, and agrees with itself.
    """
    store = make_store(base.StoreSettings(dsn, 0, WAIT_S, shared=True))
    await store.open()
    try:
        orders = 0
        while True:
            began_s = time.monotonic()
            purged: base.Purged = await store.write(base.PurgeRun(run_id))
            orders += purged.orders
            if not purged.has_more:
                return orders
            # Others have the store for as long as this chunk had it.
            await asyncio.sleep(time.monotonic() - began_s)
    finally:
        await store.close()


def main() -> int:
    """Purge the run named on the command line; returns the exit code."""
    about = "Delete what a load-test run left in the shadow tables; live orders stay."
    parser = argparse.ArgumentParser(prog="target_service.purge", description=about, allow_abbrev=False)
    parser.add_argument("run", help=f"run id, as the run sent it in {RUN_HEADER}")
    dsn = os.environ.get("ORDERS_STORE", DEFAULT)
    meaning = f"address of the service's store [ORDERS_STORE; default {DEFAULT}]"
    parser.add_argument("--store", type=store_dsn, default=dsn, help=meaning)
    arguments = parser.parse_args()
    try:
        run_id = run_id_of(arguments.run)
    except ProblemError as error:
        parser.error(str(error))
    if urlsplit(arguments.store).scheme == "sqlite" and not database_path(arguments.store).is_file():
        parser.error(
            f"--store: expected an order service's database, there is no file {database_path(arguments.store)}"
        )
    formatter = MaskingFormatter(secrets_of(arguments.store, ""))
    try:
        orders = asyncio.run(purge(arguments.store, run_id))
    except base.StoreOpenError as error:
        parser.error(formatter.mask(str(error)))
    except base.StoreUnavailableError as error:
        sys.stderr.write(formatter.mask(f"target_service.purge: {error}\n"))
        return EXIT_FAILURE
    sys.stdout.write(f"purged {orders} orders of {run_id}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
