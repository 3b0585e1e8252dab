"""A user class that notes each of its arrivals in a file of its own: what a run's record is checked against.

Nothing of the harness's own counting is used but the run's time zero and the order's key. A line is written when the
arrival is over, however that comes, so what has no line was never started or is still under way.
"""

import json
import time

from locust import task

from loadtest.scenarios.shop import JSON, Ordering, order_state

NOTES = "noted.jsonl"


class Noted(Ordering):
    """Orders one product, and notes when it began, when it ended, and what was answered."""

    host = None  # type: ignore[assignment]  # wherever the run sends it: the order service that is started
    network_timeout = 3.0
    connection_timeout = 3.0

    @task
    def create_order(self) -> None:
        """Order, and write a line."""
        context = self.shop.context
        ledger, folder = context.ledger, context.folder
        if ledger is None or folder is None or context.zero_ns is None:  # the probe of a machine
            self.order()
            return
        number, key = ledger.intend()
        body = b'{"buyer_id":%d,"lines":[{"sku":"%s","quantity":1}]}' % (
            self.shop.next_buyer(),
            self.shop.sku().encode(),
        )
        began_ns, status = time.monotonic_ns(), 0
        try:
            response = self.client.post("/orders", data=body, headers={**JSON, "Idempotency-Key": key})
            status = response.status_code
            ledger.settle(number, order_state(response))
        finally:
            ended_ns, zero_ns = time.monotonic_ns(), context.zero_ns
            noted = {"key": key, "began_s": (began_ns - zero_ns) / 1e9, "ended_s": (ended_ns - zero_ns) / 1e9}
            with (folder / NOTES).open("a") as notes:
                notes.write(json.dumps(noted | {"status": status}) + "\n")
