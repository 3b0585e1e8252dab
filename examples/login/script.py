"""Logins: each user has its own, and a new token before the old one ends."""

import time

from locust import task

from loadtest import FastHttpUser, feeders, open_loop

LOGINS = feeders.csv("logins.csv", share="split", at_end="refuse")
EARLY_S = 0.5
"""How long before its end a token is given up."""


class Member(FastHttpUser):
    """A member; logs in before its first arrival."""

    wait_time = open_loop()

    def on_start(self) -> None:
        """Take a login that no other user has. Its request belongs to no arrival."""
        self.login = LOGINS.next()
        self.log_in()

    def log_in(self) -> None:
        """Get a token. Raises, so that the arrival fails with that sentence, if there is none."""
        answer = self.client.post("/login", json=self.login)
        answer.raise_for_status()
        told = answer.json()
        self.bearer = {"Authorization": f"Bearer {told['token']}"}
        self.ends_s = time.monotonic() + told["expires_in"] - EARLY_S

    @task
    def account(self) -> None:
        """Look at the account."""
        if time.monotonic() > self.ends_s:
            self.log_in()
        self.client.get("/account", headers=self.bearer)
