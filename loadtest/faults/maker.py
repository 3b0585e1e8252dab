"""What every fault is to its player: something that can be checked, begun, and undone."""

from typing import Protocol

from loadtest.faults.messages import Token


class FaultError(Exception):
    """A fault that cannot be played or undone; the message says why."""


class Maker(Protocol):
    """Makes one fault happen."""

    def check(self) -> None:
        """Before any traffic. Raises `FaultError` where it could not be begun or undone."""
        ...

    async def begin(self) -> tuple[str, Token]:
        """Make it happen; what was done, in words, and what it takes to undo it. Raises `FaultError`."""
        ...

    async def was_met(self) -> bool:
        """Whether it has hit anything since it began; asked before it is undone. If not, it has proved nothing."""
        return True

    async def undo(self, token: Token) -> None:
        """Undo it, here or after another player has died; harmless twice. Raises `FaultError`."""
        ...
