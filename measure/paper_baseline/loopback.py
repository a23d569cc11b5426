"""The one place that says where the baseline may be used: on loopback."""

import ipaddress

from measure.paper_baseline.errors import NotLoopbackError

_ALLOWED = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def is_loopback(host: str) -> bool:
    """Whether `host` is written as an address in 127.0.0.0/8 or as ::1. A name is not: it may resolve to anything."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(address in network for network in _ALLOWED)


def require_loopback(host: str) -> None:
    """Refuse any other place.

    Raises:
        NotLoopbackError: `host` is not an address in 127.0.0.0/8 nor ::1.
    """
    if not is_loopback(host):
        raise NotLoopbackError(
            f"the paper's protocol is insecure and runs on 127.0.0.0/8 or ::1 only, not on {host[:60]!r}"
        )


def url_host(host: str) -> str:
    """The address as a URL has it: ::1 in brackets."""
    return f"[{host}]" if ":" in host else host
