"""What a service tells systemd (sd_notify(3)): that it is ready, what it is doing, that it is alive.

Where no ``NOTIFY_SOCKET`` is set, nobody listens, and every call does nothing.
"""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from group_protocol.errors import VirtualGroupError

SOCKET_VARIABLE: Final = "NOTIFY_SOCKET"
_FEEDS_PER_INTERVAL: Final = 3
"""A watchdog is fed this often in its interval, so that one late answer kills nobody."""
_STATUS_MAX_CHARACTERS: Final = 200
_SEND_TIMEOUT_S: Final = 0.5

_log = logging.getLogger("vgroup.service")

Proof = Callable[[], Awaitable[None]]
"""Returns once the service has made a step of its real work; raises or waits while it cannot."""


class ServiceNotifier:
    """Speaks to the service manager that started this process, if one did.

    Args:
        address: Of the manager's socket: a path, or ``@name`` in the abstract namespace. Empty: nobody listens.
        watchdog_s: The manager kills the service when it was not fed for so long. None: it does not.
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_s = watchdog_s
        self.is_heard = bool(address)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "ServiceNotifier":
        """Take ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` as systemd sets them."""
        environment = os.environ if environment is None else environment
        watchdog_s = None
        if environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            with contextlib.suppress(ValueError):
                watchdog_s = int(environment.get("WATCHDOG_USEC", "0")) / 1e6 or None
        return cls(environment.get(SOCKET_VARIABLE, ""), watchdog_s)

    def ready(self, status: str) -> None:
        """The service works: started, or done with reloading."""
        self._send("READY=1", _status(status))

    def status(self, status: str) -> None:
        """One line for ``systemctl status``."""
        self._send(_status(status))

    def reloading(self) -> None:
        """Settings are being read again; :meth:`ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The service is finishing what it has."""
        self._send("STOPPING=1")

    async def feed_watchdog(self, prove_progress: Proof) -> None:
        """Feed the watchdog for ever, each time after a proof of progress. Without a watchdog, return at once.

        A proof that does not return is what the watchdog is there for. One that raises is not: the service can still
        say what is wrong, and a restart would not mend a full disk.
        """
        if not self.is_heard or self.watchdog_s is None:
            return
        while True:
            try:
                await prove_progress()
            except VirtualGroupError as exc:
                _log.warning("work goes on with an error", extra={"fields": exc.as_fields()})
            self._send("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / _FEEDS_PER_INTERVAL)

    def _send(self, *lines: str) -> None:
        if not self.is_heard:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            # A manager that is restarting or slow must not stop the service for long.
            sender.settimeout(_SEND_TIMEOUT_S)
            with contextlib.suppress(OSError):
                sender.sendto("\n".join(lines).encode(), self._address)


def _status(status: str) -> str:
    """One line: what follows a newline would be another assignment."""
    return "STATUS=" + " ".join(status.split())[:_STATUS_MAX_CHARACTERS]
