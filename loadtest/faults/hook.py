"""A fault of your own service: one command or URL begins it, another ends it.

What they answer decides whether the fault was played: an exit code other than 0, or a status of 400 and more, is told
in the verdict. Undo is asked for even where the beginning failed, since half of it may have been done.
"""

import asyncio
import shutil
from urllib.request import Request

from loadtest.faults.maker import FaultError, Maker
from loadtest.faults.messages import Token
from loadtest.faults.service_faults import send
from loadtest.plan.fault import Fault

ENDS_WITHIN_S = 30.0


class HookFault(Maker):
    """Calls what its owner named."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault

    def check(self) -> None:
        """Raises `FaultError` where a command is not there."""
        for command in filter(None, (self._fault.command, self._fault.undo)):
            if shutil.which(command[0]) is None:
                raise FaultError(f"command {command[0]}: expected a program that can be run")

    async def begin(self) -> tuple[str, Token]:
        """Call what begins it."""
        await _call(self._fault.command, self._fault.url)
        return f"called {' '.join(self._fault.command) or self._fault.url}", {}

    async def undo(self, _token: Token) -> None:
        """Call what ends it."""
        await _call(self._fault.undo, self._fault.undo_url)


async def _call(command: tuple[str, ...], url: str) -> None:
    if command:
        await _run(command)
    elif url:
        request = Request(url, data=b"", method="POST")  # noqa: S310 - checked with the configuration
        await asyncio.to_thread(send, request, url)


async def _run(command: tuple[str, ...]) -> None:
    said = f"`{' '.join(command)}`"
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise FaultError(f"{said} could not be run ({error.strerror})") from error
    try:
        async with asyncio.timeout(ENDS_WITHIN_S):
            _, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        raise FaultError(f"{said} did not end within {ENDS_WITHIN_S:g} s") from None
    if process.returncode:
        last = errors.decode(errors="replace").strip().splitlines()[-1:]
        raise FaultError(
            f"{said} ended with exit code {process.returncode}{f': {last[0]:.200}' if last else ''}"
        )
