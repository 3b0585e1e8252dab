"""PostgreSQL, with psycopg 3, which waits by gevent in Locust. Who logs in is libpq's: PGUSER, PGPASSWORD."""

import psycopg
from locust import User, events, task
from locust.env import Environment

from loadtest import open_loop


@events.test_start.add_listener  # type: ignore[untyped-decorator]  # Locust's
def create_table(environment: Environment, **_: object) -> None:
    """Once a run, and harmless where several workers do it at once."""
    with psycopg.connect(str(environment.host), autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")
        connection.execute("CREATE TABLE IF NOT EXISTS placed (id bigserial PRIMARY KEY, sku text NOT NULL)")


class Cashier(User):
    """A client with a connection of its own."""

    wait_time = open_loop()

    def on_start(self) -> None:
        """Connect, before the first arrival."""
        self.database = psycopg.connect(str(self.host), autocommit=True)

    def on_stop(self) -> None:
        """Disconnect."""
        self.database.close()

    @task
    def order(self) -> None:
        """One transaction: a row is written, and how many there are is read."""
        with self.environment.events.request.measure("SQL", "place an order") as told:
            with self.database.transaction():
                self.database.execute("INSERT INTO placed (sku) VALUES (%s)", ["sku-000001"])
            row = self.database.execute("SELECT max(id) FROM placed").fetchone()
            told["response_length"] = len(str(row))
