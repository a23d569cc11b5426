"""What a master says of itself on the local network, in DNS-SD (``docs/protocol.md`` §4.1; RFC 6762, RFC 6763).

Anybody on the network can say the same: it is a hint where to look, never a reason to believe.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from group_protocol.errors import DecodingError
from group_protocol.identifiers import Address, parse_address

SERVICE_TYPE: Final = "_vgroup._tcp.local."
_TEXT_VERSION: Final = "1"
_PROTOCOL: Final = "1"
_ADDRESS: Final = re.compile(r"0x[0-9a-f]{40}")
_NAME_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Advertisement:
    """Nothing that ``GET /healthz`` would not tell too.

    Attributes:
        master: The address whose key the master says it has.
    """

    master: Address

    @property
    def instance(self) -> str:
        """The service instance's name: of one master alone, and nothing about the machine or its place."""
        return f"vgroup {self._short}.{SERVICE_TYPE}"

    @property
    def server(self) -> str:
        """The host name that the SRV record points to: not the machine's own."""
        return f"vgroup-{self._short}.local."

    @property
    def _short(self) -> str:
        return self.master.hex()[:_NAME_DIGITS]

    def to_properties(self) -> dict[str, str]:
        """The TXT record's keys and values."""
        return {"txtvers": _TEXT_VERSION, "protocol": _PROTOCOL, "master": f"0x{self.master.hex()}"}


def parse_advertisement(properties: Mapping[str, str | None]) -> Advertisement:
    """Take a TXT record. Unknown keys are left for later versions.

    Raises:
        DecodingError: It is of another version, or names no master.
    """
    if properties.get("txtvers") != _TEXT_VERSION or properties.get("protocol") != _PROTOCOL:
        raise DecodingError("the advertisement is of another version")
    master = properties.get("master") or ""
    if not _ADDRESS.fullmatch(master):
        raise DecodingError("the advertisement names no master")
    return Advertisement(parse_address(bytes.fromhex(master.removeprefix("0x"))))
