"""Our messages over Locust's own connection between master and workers.

Locust lets extensions register message types; those of a run are two, one for each direction, and their payload is
the bytes of `fleet.messages`. A frame that is not ours is noted and ignored: it must not be able to change a run.
With a `LocalRunner` master and worker are one process and a message is a function call.
"""

import logging
from collections.abc import Callable
from typing import Any

from locust.runners import Runner

from loadtest.fleet.messages import Message, MessageError, decode, encode

TO_MASTER = "singlesday_to_master"
TO_WORKER = "singlesday_to_worker"

logger = logging.getLogger(__name__)
OnMessage = Callable[[str, Message], None]
"""(worker it came from, message)."""


def listen(runner: Runner, message_type: str, on_message: OnMessage) -> None:
    """Call `on_message` for every well-formed message of a direction."""

    def receive(environment: object, msg: Any) -> None:  # noqa: ARG001 - Locust passes it by name
        try:
            on_message(str(msg.node_id), decode(msg.data))
        except MessageError as error:
            logger.warning("ignored a frame from %s: %s", msg.node_id, error)

    runner.register_message(message_type, receive)


def send_to_worker(runner: Runner, worker: str, message: Message) -> None:
    """Send to one worker; a worker that is gone is the coordinator's to notice."""
    runner.send_message(TO_WORKER, encode(message), worker)


def send_to_master(runner: Runner, message: Message) -> None:
    """Send to the master."""
    runner.send_message(TO_MASTER, encode(message))
