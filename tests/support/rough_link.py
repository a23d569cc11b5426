"""A network that loses and delays packets, in a network namespace of its own, under the kernel's real TCP.

Where the kernel has netem, it is a rule on the namespace's loopback. Where it has not, a TUN device takes its place:
whatever is sent to ``FAR`` comes out of the device, waits and is lost here as it would be there, and goes back in with
its two addresses exchanged. So a connection to ``FAR`` reaches who listens on ``NEAR``, packet by packet. (Exchanging
two addresses changes no checksum.)
"""

import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.support.ward import ROOT, Surroundings

NEAR: Final = "10.77.0.1"
FAR: Final = "10.77.0.2"
_DEVICE: Final = "rough0"
_TUNSETIFF: Final = 0x400454CA
_IFF_TUN_NO_PI: Final = 0x1001
_PACKET_MAX_BYTES: Final = 65_536


class RoughLink:
    """Use it as a context manager; processes that are started in its surroundings have no other network.

    Attributes:
        mechanism: ``netem`` or ``tun``.
        address: Where a process reaches another one over the link.
    """

    mechanism = ""
    address = ""

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed
        self._relay: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        self._relay = subprocess.Popen(
            ["unshare", *as_root, "--net", sys.executable, "-m", "tests.support.rough_link", str(self._seed)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._relay.stdout is not None
        self.mechanism = self._relay.stdout.readline().strip()
        assert self.mechanism in {"netem", "tun"}, "no network namespace with netem or a TUN device could be made"
        self.address = FAR if self.mechanism == "tun" else "127.0.0.1"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        relay = self._running()
        relay.kill()
        relay.communicate()

    @property
    def surroundings(self) -> Surroundings:
        """For processes that live on it."""
        pid = self._running().pid
        as_root = () if os.geteuid() == 0 else (f"--user=/proc/{pid}/ns/user", "--preserve-credentials")
        return Surroundings(("nsenter", *as_root, f"--net=/proc/{pid}/ns/net"))

    def set(self, *, loss: float = 0.0, delay_s: float = 0.0) -> None:
        """From now on each packet is lost with this probability, and those that are not arrive so much later."""
        relay = self._running()
        assert relay.stdin is not None
        assert relay.stdout is not None
        relay.stdin.write(f"{loss} {delay_s}\n")
        relay.stdin.flush()
        assert relay.stdout.readline() == "done\n"

    def cut(self) -> None:
        """Nothing arrives any more, and nobody is told."""
        self.set(loss=1.0)

    def mend(self) -> None:
        """Everything arrives at once."""
        self.set()

    def _running(self) -> subprocess.Popen[str]:
        assert self._relay is not None, "the link is not up"
        return self._relay


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _has_netem() -> bool:
    words = ["tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "0ms"]
    return subprocess.run(words, check=False, capture_output=True).returncode == 0


def _obey_with_netem() -> None:
    for line in sys.stdin:
        loss, delay_s = map(float, line.split())
        rule = ["delay", f"{delay_s * 1000:.0f}ms", "loss", f"{loss:.0%}"]
        subprocess.run(["tc", "qdisc", "change", "dev", "lo", "root", "netem", *rule], check=True)
        print("done", flush=True)  # noqa: T201 - the answer


def _open_tun() -> int:
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH", _DEVICE.encode(), _IFF_TUN_NO_PI))
    _ip("address", "add", f"{NEAR}/24", "dev", _DEVICE)
    _ip("link", "set", _DEVICE, "up")
    return tun


def _relay_packets(tun: int, source: random.Random) -> None:
    loss, delay_s = 0.0, 0.0
    under_way: list[tuple[float, int, bytes]] = []
    count = 0
    commands = sys.stdin.fileno()
    while True:
        wait_s = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        ready, _, _ = select.select([tun, commands], [], [], wait_s)
        if commands in ready:
            line = os.read(commands, 100).decode()
            if not line:
                return
            loss, delay_s = map(float, line.split())
            print("done", flush=True)  # noqa: T201 - the answer
        if tun in ready:
            packet = os.read(tun, _PACKET_MAX_BYTES)
            if packet[0] >> 4 == 4 and source.random() >= loss:
                exchanged = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
                count += 1
                heapq.heappush(under_way, (time.monotonic() + delay_s, count, exchanged))
        while under_way and under_way[0][0] <= time.monotonic():
            os.write(tun, heapq.heappop(under_way)[2])


def _main() -> None:
    _ip("link", "set", "lo", "up")
    if _has_netem():
        print("netem", flush=True)  # noqa: T201 - the answer
        _obey_with_netem()
    elif Path("/dev/net/tun").exists():
        tun = _open_tun()
        print("tun", flush=True)  # noqa: T201 - the answer
        _relay_packets(tun, random.Random(int(sys.argv[1])))


if __name__ == "__main__":
    _main()
