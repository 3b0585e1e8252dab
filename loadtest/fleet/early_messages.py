"""A script's own messages to a worker that come before its `init` listeners were heard: held until then.

Locust's worker reads messages from the moment it has greeted its master, and fires `init` a little later. What has
come by then for a handler that a script registers on `init` is thrown away with a warning. Under plain Locust the
master mostly sleeps between the two; `singlesday run` starts all processes at once, and it was often lost.
"""

from locust.rpc import Message
from locust.runners import WorkerRunner

_OF_LOCUST = frozenset(
    ["ack", "spawn", "stop", "quit", "reconnect", "heartbeat", "update_user_class", "spawning_complete"]
)
_held: list[Message] = []
_handle = WorkerRunner.handle_message


def hold_early_messages() -> None:
    """Have workers of this process keep all messages but Locust's own, until `release_early_messages`."""

    def hold(runner: WorkerRunner, msg: Message) -> None:
        if msg.type in _OF_LOCUST:
            _handle(runner, msg)
        else:
            _held.append(msg)

    WorkerRunner.handle_message = hold  # type: ignore[method-assign, assignment]


def release_early_messages(runner: object) -> None:
    """Handle what has come, in its order: by now whoever wants it has said so."""
    WorkerRunner.handle_message = _handle  # type: ignore[method-assign]
    held, _held[:] = [*_held], []
    if isinstance(runner, WorkerRunner):
        for msg in held:
            runner.handle_message(msg)
