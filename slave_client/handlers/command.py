"""A program of the user's for each message: for what is written in another language, or in a shell."""

import asyncio
import json
from pathlib import Path

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import VirtualGroupError
from group_protocol.ports import Clock
from slave_client.handlers.ports import Handler, HandlerOptions
from slave_client.received_message import ReceivedMessage


class HandlerError(VirtualGroupError):
    """A handler did not take a message."""

    default_code = ErrorCode.HANDLER_FAILED


class CommandHandler:
    """Runs a program once for each message, which it finds as one line of JSON on its standard input."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        self.label = f"command {path.name}"
        self._path = path
        self._timeout_s = timeout_s

    async def handle(self, message: ReceivedMessage) -> None:
        """See the port. Raises HandlerError if the program cannot run, takes too long, or ends with another status."""
        line = json.dumps(message.to_fields()).encode() + b"\n"
        try:
            process = await asyncio.create_subprocess_exec(self._path, stdin=asyncio.subprocess.PIPE)
        except OSError as exc:
            raise HandlerError(f"cannot run {self._path}: {exc.strerror}", remedy="Check the handler's path.") from exc
        try:
            async with asyncio.timeout(self._timeout_s):
                await process.communicate(line)
        except TimeoutError as exc:
            raise HandlerError(f"{self._path} took longer than {self._timeout_s:g} s") from exc
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise HandlerError(f"{self._path} ended with status {process.returncode}")


def make_command_handler(options: HandlerOptions, _clock: Clock) -> Handler:
    """``command``: options ``path`` (a program), ``timeout_s`` (60). Raises ConfigurationError."""
    path = Path(options.required("path")).expanduser()
    timeout_s = options.positive("timeout_s", 60.0) or 60.0
    options.finish()
    return CommandHandler(path, timeout_s)
