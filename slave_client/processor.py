"""Which cipher suits this processor."""

import re
from pathlib import Path

from group_protocol.crypto.aead import Aead

_CPUINFO = Path("/proc/cpuinfo")
_AES_FLAG = re.compile(r"^(?:flags|Features)\s*:.*\baes\b", re.MULTILINE)


def preferred_aeads(cpuinfo: Path = _CPUINFO) -> tuple[Aead, ...]:
    """AES-GCM first where the processor has AES instructions, else ChaCha20-Poly1305 (``docs/protocol.md`` §3.1).

    Reads the ``flags`` line of x86 or the ``Features`` line of Arm. A Raspberry Pi 3 or 4 has none; a Pi 5 has.
    """
    try:
        has_aes = bool(_AES_FLAG.search(cpuinfo.read_text("ascii", "replace")))
    except OSError:
        has_aes = False
    return (Aead.A256GCM, Aead.C20P1305) if has_aes else (Aead.C20P1305, Aead.A256GCM)
