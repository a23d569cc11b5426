"""Numbers for records that are never given twice, even when the buffer's file is lost (``docs/protocol.md`` §6)."""

from group_protocol.limits import RECORD_SEQ_LIMIT
from slave_client.state_directory import StateDirectory

_FILE = "sequence"
_BLOCK = 4_096
"""Numbers reserved in one write: at one record a second, about one write an hour."""


class SequenceReservation:
    """A high-water mark on disk, apart from the buffer: no record above it has ever been numbered."""

    def __init__(self, directory: StateDirectory) -> None:
        self._directory = directory
        self._reserved = self._read()

    @property
    def first_unreserved(self) -> int:
        """The lowest seq that certainly was never used; 1 on a new device."""
        return self._reserved + 1

    @property
    def is_known(self) -> bool:
        """Whether a mark was found: without one, this device may be new or may have lost its memory."""
        return self._reserved > 0

    def cover(self, seq: int) -> None:
        """Make sure, durably, that ``seq`` counts as used. Raises KeyStoreError if the medium refuses."""
        if seq > self._reserved:
            reserved = min(seq + _BLOCK, RECORD_SEQ_LIMIT)
            self._directory.replace(_FILE, b"%d\n" % reserved)
            self._reserved = reserved

    def _read(self) -> int:
        content = self._directory.read(_FILE)
        # A damaged mark counts as none: the master's last seq (M4) corrects the numbers before anything is sent.
        text = (content or b"").strip()
        return min(int(text), RECORD_SEQ_LIMIT) if text.isdigit() and len(text) <= 17 else 0
