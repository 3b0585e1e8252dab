"""Questions to an assistant whose answers are streamed: judged by the time to the first token and per token.

`Assistant` asks the sample service; `Chat` any server that speaks OpenAI's API, as vLLM, llama.cpp's server, Ollama
and others do: derive a class of it that says which model, and what is asked.
"""

from typing import ClassVar

from locust import task

from loadtest.drive.run_context import run_context
from loadtest.drive.serving import open_loop
from loadtest.drive.user import FastHttpUser

QUESTIONS = (
    "where is my parcel?",
    "can I send it back?",
    "when will it be here?",
    "why was I charged twice?",
)
MOST_TOKENS = (10, 20, 40)
"""A: how long answers are."""


class Assistant(FastHttpUser):
    """A buyer with a question to the shop's assistant."""

    host = "http://127.0.0.1:8080"
    wait_time = open_loop()

    def on_start(self) -> None:
        """Take the random numbers of this worker's questions."""
        self.random = run_context(self.environment).random("question")

    @task
    def ask(self) -> None:
        """Ask, and read the answer to its end. Raises, so that the arrival fails, if it is too short."""
        wanted = self.random.choice(MOST_TOKENS)
        question = {"prompt": self.random.choice(QUESTIONS), "max_tokens": wanted}
        tokens = sum(1 for _ in self.client.tokens("/assistant/messages", json=question))
        if tokens != wanted:
            raise ValueError(f"expected {wanted} tokens, got {tokens}")


class Chat(FastHttpUser):
    """Somebody who talks to a language model through OpenAI's API."""

    abstract = True
    wait_time = open_loop()
    path = "/v1/chat/completions"
    model = "default"
    """As the server calls it."""
    most_tokens = 100
    questions: ClassVar[tuple[str, ...]] = QUESTIONS
    headers: ClassVar[dict[str, str]] = {}
    """What every request carries besides, such as Authorization."""

    def on_start(self) -> None:
        """Take the random numbers of this worker's questions."""
        self.random = run_context(self.environment).random("question")

    @task
    def ask(self) -> None:
        """Ask, and read the answer to its end."""
        question = {
            "model": self.model,
            "messages": [{"role": "user", "content": self.random.choice(self.questions)}],
            "max_tokens": self.most_tokens,
            "stream": True,
        }
        for _ in self.client.tokens(self.path, json=question, headers=self.headers):
            pass
