"""TCP ports of nodes: which are free, and who is in the way."""

import socket
from collections.abc import Iterator

from chain_gateway.network.errors import PortInUse


def require_free(host: str, port: int, *, what: str, remedy: str) -> None:
    """Check that a port can be listened on.

    Raises:
        PortInUse: Another program has it, or the address is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As geth does: a connection of the last run that the kernel still remembers is in nobody's way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            raise PortInUse(f"{what} cannot listen on {host}:{port}: {exc.strerror or exc}", remedy=remedy) from exc


def choose_ports(host: str, first: int, count: int) -> list[int]:
    """``count`` ports: ``first`` and those after it; ports that are free now if ``first`` is 0."""
    if first:
        return list(range(first, first + count))
    return list(_free_ports(host, count))


def _free_ports(host: str, count: int) -> Iterator[int]:
    """Different from each other, because all are held until the last is known."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    held = []
    try:
        for _ in range(count):
            probe = socket.socket(family, socket.SOCK_STREAM)
            held.append(probe)
            probe.bind((host, 0))
            yield int(probe.getsockname()[1])
    finally:
        for probe in held:
            probe.close()
