"""How fast one member's records are taken in, where the operator has set a bound (``device_records_per_s``).

A member is no stranger: its well-formed records are never dropped. One that sends too fast is read more slowly instead,
so that its credit runs out and its own buffer holds what it measures; the others notice nothing.
"""

from typing import Final

from group_protocol.identifiers import ObjectId

BURST_S: Final = 10.0
"""So many seconds' worth may come at once after a rest: a device that comes back has a backlog."""
CREDIT_MAX_BYTES: Final = 65_536
"""Of a device whose pace is bounded: no more than the socket's queue takes in, so that pings are heard meanwhile."""


class RecordPace:
    """Counts each device's records over its sessions; one number for each device.

    Args:
        records_per_s: In the long run; 0: no bound.
    """

    def __init__(self, records_per_s: float) -> None:
        self._records_per_s = records_per_s
        self._paid_until_s: dict[ObjectId, float] = {}

    def bound_credit(self, credit_bytes: int) -> int:
        """What a device may have on its way."""
        return min(credit_bytes, CREDIT_MAX_BYTES) if self._records_per_s else credit_bytes

    def note(self, oid: ObjectId, records: int, now_s: float) -> None:
        """Count records that are taken now."""
        if self._records_per_s:
            since_s = max(self._paid_until_s.get(oid, now_s - BURST_S), now_s - BURST_S)
            self._paid_until_s[oid] = since_s + records / self._records_per_s

    def wait_s(self, oid: ObjectId, now_s: float) -> float:
        """How many seconds the device's next records have to wait now; 0: none."""
        if not self._records_per_s:
            return 0.0
        return max(0.0, self._paid_until_s.get(oid, now_s) - now_s)
