"""What a device of the load sends, in the buffer's place: records without a disk under them."""

from abc import ABC, abstractmethod

from slave_client.buffered_record import BufferedRecord


class LoadRecords(ABC):
    """What all of them have in common: nothing is kept, and nothing may be refused."""

    @property
    @abstractmethod
    def highest_committed(self) -> int:
        """As far as may be sent."""

    @property
    @abstractmethod
    def acknowledged_readings(self) -> int:
        """Committed by the master, and known here."""

    @abstractmethod
    def note_last_seq(self, last_seq: int, now_s: float) -> None:
        """The master has committed everything up to here."""

    @abstractmethod
    def end(self) -> None:
        """Nothing beyond what may be sent now."""

    @abstractmethod
    async def read_after(self, seq: int, *, max_records: int, max_bytes: int) -> list[BufferedRecord]:
        """As the buffer does it."""

    def acknowledge(self, through: int) -> None:  # noqa: B027 - nothing is to be done
        """Nothing is kept, so nothing is forgotten."""

    async def set_aside(self, seq: int, reason: int) -> None:
        """No record of a benchmark is refused."""
        raise RuntimeError(f"the master refused record {seq}: {reason}")
