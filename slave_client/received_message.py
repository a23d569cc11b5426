"""A message from another slave, as this device has it on its disk."""

from dataclasses import dataclass

from group_protocol.identifiers import Address, ObjectId
from group_protocol.peer_messages import Delivery
from group_protocol.senml import Reading, decode_readings


@dataclass(frozen=True, slots=True)
class ReceivedMessage:
    """What was said, by whom, with the evidence that this device has checked itself.

    Attributes:
        number: Counts this device's messages, strictly rising.
        received_unix_s: When it came, by this device's clock; for people only.
        delivery: As the master handed it over: sender, its addresses, the signed record.
    """

    number: int
    received_unix_s: float
    delivery: Delivery

    @property
    def sender(self) -> ObjectId:
        """Who said it."""
        return self.delivery.sender

    @property
    def sender_address(self) -> Address:
        """Whose signature it bears."""
        return self.delivery.signer

    @property
    def seq(self) -> int:
        """The sender's number of it."""
        return self.delivery.record.seq

    def readings(self) -> list[Reading]:
        """What it says. Raises DecodingError if the payload is no SenML."""
        return decode_readings(self.delivery.record.payload)

    def to_fields(self) -> dict[str, object]:
        """As JSON fields; byte values are hex."""
        record = self.delivery.record
        return {
            "number": self.number,
            "received_unix_s": round(self.received_unix_s, 3),
            "from": self.sender.hex(),
            "address": "0x" + self.sender_address.hex(),
            "seq": record.seq,
            "epoch": record.epoch,
            "readings": [_reading_fields(reading) for reading in self.readings()],
            "payload": record.payload.hex(),
            "signature": record.signature.hex(),
        }


def _reading_fields(reading: Reading) -> dict[str, object]:
    value = reading.value.hex() if isinstance(reading.value, bytes) else reading.value
    fields: dict[str, object] = {"name": reading.name, "time_unix_s": reading.time_s, "value": value}
    if reading.unit is not None:
        fields["unit"] = reading.unit
    if reading.sum_value is not None:
        fields["sum"] = reading.sum_value
    return fields
