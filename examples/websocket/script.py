"""WebSocket, with websocket-client: an ordinary Locust script, which names nothing of this package."""

import json

import websocket
from locust import User, task


class Chatter(User):
    """Somebody with a connection that stays open."""

    def on_start(self) -> None:
        """Connect, before the first arrival."""
        self.socket = websocket.create_connection(f"{self.host}/chat", timeout=10)

    def on_stop(self) -> None:
        """Say goodbye."""
        self.socket.close()

    @task
    def say(self) -> None:
        """Say something and wait until it has come back; anything else is a failure."""
        with self.environment.events.request.measure("WS", "message") as told:
            self.socket.send("hello")
            answer = self.socket.recv()
            told["response_length"] = len(answer)
            if json.loads(answer)["said"] != "hello":
                raise ValueError("expected what was said")
