"""The host that pairing strings name."""

import ipaddress
import socket

from master_api.config import MasterConfig
from master_api.operations import Endpoint

_DOCUMENTATION_ADDRESS = ("192.0.2.1", 9)
"""TEST-NET-1 (RFC 5737): connecting a UDP socket sends nothing, but shows which of our addresses would be used."""


def public_endpoint(config: MasterConfig, port: int) -> Endpoint:
    """Where devices on other machines find a master that listens as configured."""
    if config.public_host:
        return Endpoint(config.public_host, port)
    if _is_wildcard(config.host):
        return Endpoint(_outward_address(), port)
    return Endpoint(config.host, port)


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _outward_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_DOCUMENTATION_ADDRESS)
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])
