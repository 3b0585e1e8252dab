"""PostgreSQL, with psycopg 3, which waits by gevent in Locust. Who logs in is libpq's: PGUSER, PGPASSWORD."""

import psycopg
from locust import User, task

from loadtest import open_loop


class Cashier(User):
    """A client with a connection of its own."""

    wait_time = open_loop()

    def on_start(self) -> None:
        """Connect, and make the table if no other user has, before the first arrival."""
        self.database = psycopg.connect(str(self.host), autocommit=True)
        with self.database.transaction():
            self.database.execute("SELECT pg_advisory_xact_lock(1)")
            self.database.execute("CREATE TABLE IF NOT EXISTS placed (id bigserial PRIMARY KEY, sku text)")

    def on_stop(self) -> None:
        """Disconnect."""
        self.database.close()

    @task
    def order(self) -> None:
        """One transaction: a row is written, and its number is read."""
        with self.environment.events.request.measure("SQL", "place an order") as told:
            with self.database.transaction():
                row = self.database.execute(
                    "INSERT INTO placed (sku) VALUES (%s) RETURNING id", ["sku-000001"]
                ).fetchone()
            told["response_length"] = len(str(row))
