"""What the benchmark's readings look like: 64 bytes each, as MQTT's messages have."""

from typing import Final

from group_protocol.senml import Reading, encode_readings

READING_BYTES: Final = 64
_NAME: Final = "bed-7/ppg"
_TIME_S: Final = 1_790_000_000.25


def make_payloads(readings: int, count: int = 64) -> list[bytes]:
    """Different payloads of so many readings, 64 bytes for each reading.

    A reading has a name, a time and a block of raw samples (SenML ``vd``). In a payload of many, name and base time
    stand once, as SenML has it; the samples are longer by as much.
    """
    samples_bytes = READING_BYTES
    while len(_make(0, readings, samples_bytes)) > readings * READING_BYTES:
        samples_bytes -= 1
    return [_make(number, readings, samples_bytes) for number in range(count)]


def _make(number: int, readings: int, samples_bytes: int) -> bytes:
    return encode_readings(
        [
            Reading(_NAME, _TIME_S + number + at / 128, ((number * 1_000 + at).to_bytes(4, "big") * 16)[:samples_bytes])
            for at in range(readings)
        ]
    )
