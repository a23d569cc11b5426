import zlib

import pytest

from group_protocol.identifiers import ObjectId
from group_protocol.senml import Reading, decode_readings, encode_readings
from measure.errors import MeasurementError
from measure.fleet.parcels import PIECE_BYTES, _identify, newest_of_each, pack, unpack
from measure.table2.operations import OURS
from measure.table2.published import DATA
from tests.support.seeded import SeededRandom
from tests.unit.measure.results_of import results_with, times
from tests.unit.measure.test_outputs import FULL

FIRST, SECOND = ObjectId(b"\x01" * 16), ObjectId(b"\x02" * 16)
LONG = results_with(
    times(OURS, DATA, *(int.from_bytes(SeededRandom(seed).token_bytes(6), "big") / 7 for seed in range(6_000)))
)


def test_large_results_travel_in_pieces_that_any_record_takes_and_come_back_whole() -> None:
    readings = pack(LONG, 1_700_000_000.0)
    assert len(readings) > 1
    assert all(len(encode_readings([reading])) < PIECE_BYTES + 200 for reading in readings)
    records = [(FIRST, seq, decode_readings(encode_readings([reading]))) for seq, reading in enumerate(readings, 1)]
    (arrived,) = unpack(records)
    assert (arrived.results, arrived.seq) == (LONG, len(readings))


def test_pieces_of_two_devices_do_not_mix_and_a_missing_piece_keeps_results_back() -> None:
    readings = pack(LONG, 1.0)
    records = [(FIRST if seq % 2 else SECOND, seq, [reading]) for seq, reading in enumerate(readings)]
    assert list(unpack(records)) == []


def test_other_readings_are_passed_over() -> None:
    others = [Reading("ppg", 1.0, 2.0), Reading("vgroup-measure/zz/0/1", 1.0, b"x"), Reading("ppg", 1.0, b"x")]
    (arrived,) = unpack([(FIRST, 1, [*others, *pack(FULL, 1.0)])])
    assert arrived.results == FULL


def test_newest_is_by_record_number_whatever_the_clocks_say() -> None:
    older, newer = results_with(times(OURS, DATA, 1.0)), results_with(times(OURS, DATA, 2.0))
    records = [(FIRST, 1, pack(older, 2_000_000_000.0)), (FIRST, 2, pack(newer, 5.0))]
    (found,) = newest_of_each(unpack(records), "table2")
    assert found.results == newer


@pytest.mark.parametrize("whole", [b"not compressed", zlib.compress(b"[]"), zlib.compress(b'{"format":"another"}')])
def test_pieces_that_are_no_results_are_refused_with_the_devices_id(whole: bytes) -> None:
    reading = Reading(f"vgroup-measure/{_identify(whole)}/0/1", 1.0, whole)
    with pytest.raises(MeasurementError, match=FIRST.hex()):
        list(unpack([(FIRST, 1, [reading])]))


def test_pieces_under_a_wrong_name_are_refused() -> None:
    reading = pack(FULL, 1.0)[0]
    forged = Reading(f"vgroup-measure/{'0' * 32}/0/1", 1.0, reading.value)
    with pytest.raises(MeasurementError, match="not whole"):
        list(unpack([(FIRST, 1, [forged])]))
