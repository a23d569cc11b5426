"""Two machines on one cable: two network namespaces joined by a pair of virtual Ethernet devices.

Multicast, IPv6 link-local addresses and their scopes work as between a laptop and a Pi. Nothing else is connected.
"""

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.ward import Surroundings

_LINK: Final = "eth0"
_READY_S: Final = 20.0


class Machine:
    """One end of the cable.

    Args:
        holder: A process that lives there, and keeps the namespace alive.
    """

    def __init__(self, holder: "subprocess.Popen[bytes]") -> None:
        self.holder = holder

    @property
    def surroundings(self) -> Surroundings:
        """For processes that live there."""
        pid = self.holder.pid
        as_root = () if os.geteuid() == 0 else (f"--user=/proc/{pid}/ns/user", "--preserve-credentials")
        return Surroundings(("nsenter", *as_root, f"--net=/proc/{pid}/ns/net"))

    def run(self, *words: str) -> str:
        """A command there; what it prints."""
        done = subprocess.run([*self.surroundings.prefix, *words], check=False, capture_output=True, text=True)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def add_address(self, address: str) -> None:
        """Give it one, with its prefix length."""
        self.run("ip", "address", "add", address, "dev", _LINK, *(("nodad",) if ":" in address else ()))

    def drop_address(self, address: str) -> None:
        """Take one away."""
        self.run("ip", "address", "del", address, "dev", _LINK)

    def link_local(self) -> str:
        """Its IPv6 address that exists without anybody's doing, once it may be used."""
        ends_at_s = time.monotonic() + _READY_S
        while time.monotonic() < ends_at_s:
            for line in self.run("ip", "-6", "-oneline", "address", "show", "dev", _LINK, "scope", "link").splitlines():
                if "tentative" not in line:
                    return line.split()[3].partition("/")[0]
            time.sleep(0.05)
        raise AssertionError("the link gets no IPv6 address: is IPv6 off in this kernel?")


class TwoMachines:
    """Use it as a context manager.

    Attributes:
        laptop, pi: The two.
    """

    laptop: Machine
    pi: Machine

    def __enter__(self) -> Self:
        self.laptop = Machine(_hold(() if os.geteuid() == 0 else ("--user", "--map-root-user")))
        self.pi = Machine(_hold((), within=self.laptop))
        for machine in (self.laptop, self.pi):
            _await_own_network(machine)
        peer = ("peer", "name", _LINK, "netns", str(self.pi.holder.pid))
        self.laptop.run("ip", "link", "add", _LINK, "type", "veth", *peer)
        for machine in (self.laptop, self.pi):
            machine.run("ip", "link", "set", "lo", "up")
            machine.run("ip", "link", "set", _LINK, "up")
        for machine in (self.laptop, self.pi):
            machine.link_local()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for machine in (self.pi, self.laptop):
            machine.holder.kill()
            machine.holder.communicate()


def _hold(options: Sequence[str], within: Machine | None = None) -> "subprocess.Popen[bytes]":
    """A process in a namespace of its own that waits for its end; the second one shares the first one's users."""
    prefix: tuple[str, ...] = ()
    if within is not None and os.geteuid() != 0:
        prefix = ("nsenter", f"--user=/proc/{within.holder.pid}/ns/user", "--preserve-credentials")
    return subprocess.Popen(
        [*prefix, "unshare", *options, "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def _await_own_network(machine: Machine) -> None:
    ours, theirs = Path("/proc/self/ns/net").readlink(), None
    ends_at_s = time.monotonic() + _READY_S
    while theirs in {None, ours}:
        assert time.monotonic() < ends_at_s, "no network namespace could be made"
        theirs = Path(f"/proc/{machine.holder.pid}/ns/net").readlink()
        time.sleep(0.01)
