"""The host that pairing strings name."""

import socket
from typing import Final

from master_api.config import MasterConfig
from master_api.hosts import is_wildcard, split_hosts
from master_api.local_addresses import local_addresses
from master_api.operations import Endpoint

_DOCUMENTATION_ADDRESSES: Final = {"0.0.0.0": "192.0.2.1", "::": "2001:db8::1"}  # noqa: S104 - compared, not bound
"""RFC 5737 and RFC 3849. Connecting a UDP socket sends nothing, but shows which of our addresses would be used."""
_DISCARD_PORT: Final = 9


def public_endpoint(config: MasterConfig, port: int) -> Endpoint:
    """Where devices on other machines find a master that listens as configured."""
    if config.public_host:
        return Endpoint(config.public_host.removeprefix("[").removesuffix("]"), port)
    hosts = split_hosts(config.host)
    wildcards = [host for host in hosts if is_wildcard(host)]
    if not wildcards:
        return Endpoint(hosts[0], port)
    outward = (_outward_address(host) for host in wildcards)
    found = next((address for address in outward if address), None)
    return Endpoint(found or next(iter(local_addresses(hosts)), None) or socket.gethostname(), port)


def _outward_address(wildcard: str) -> str | None:
    """Our address on the way to the world, of the wildcard's family; None without such a way."""
    family = socket.AF_INET6 if ":" in wildcard else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((_DOCUMENTATION_ADDRESSES[wildcard], _DISCARD_PORT))
            return str(probe.getsockname()[0])
    except OSError:
        return None
