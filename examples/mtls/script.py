"""HTTPS where both sides show a certificate: whose they are comes from the environment, not from the script."""

import os
import ssl
from pathlib import Path

from locust import task

from loadtest import FastHttpUser, open_loop

CERTIFICATES = Path(os.environ.get("CERTIFICATES", "certificates"))


class Partner(FastHttpUser):
    """A partner's system, which keeps one connection."""

    wait_time = open_loop()

    def ssl_context_factory(self) -> ssl.SSLContext:
        """Trust our own authority alone, and show our own certificate."""
        context = ssl.create_default_context(cafile=str(CERTIFICATES / "authority.pem"))
        context.load_cert_chain(CERTIFICATES / "client.pem")
        return context

    @task
    def order(self) -> None:
        """Send an order."""
        self.client.post("/partners/orders", json={"sku": "sku-000001"})
