"""The comparer has to find whatever could have gone wrong between a recording and the store."""

from dataclasses import replace
from pathlib import Path

import pytest

from vgroup.demo.comparison import StoredSample, find_differences
from vgroup.demo.recordings import Recording

RECORDING = Recording(Path("pulse.csv"), "", (530.0, 518.0, 506.0, 494.0), (0.0, 0.01, 0.02, 0.03))
BEGAN_UNIX_S = 1_700_000_000.25
STORED = [
    StoredSample(seq=1 + index // 2, time_s=BEGAN_UNIX_S + RECORDING.offset_s(index), value=RECORDING.sample(index))
    for index in range(10)
]


def test_what_was_sent_is_found_to_be_the_same() -> None:
    assert find_differences(RECORDING, STORED, acknowledged=5) == []


def test_records_stored_but_not_yet_acknowledged_are_no_difference() -> None:
    assert find_differences(RECORDING, STORED, acknowledged=4) == []


def test_altered_value_is_found() -> None:
    altered = [*STORED[:3], replace(STORED[3], value=494.5), *STORED[4:]]
    assert find_differences(RECORDING, altered, acknowledged=5) == [
        "sample 3 is stored as 494.5, pulse.csv has 494.0",
    ]


@pytest.mark.parametrize("lost", range(1, 9))
def test_missing_sample_is_found(lost: int) -> None:
    assert find_differences(RECORDING, STORED[:lost] + STORED[lost + 1 :], acknowledged=5)


def test_sample_stored_twice_is_found() -> None:
    assert find_differences(RECORDING, [*STORED[:3], STORED[2], *STORED[3:]], acknowledged=5)


def test_swapped_samples_are_found() -> None:
    assert find_differences(RECORDING, [STORED[1], STORED[0], *STORED[2:]], acknowledged=5)


def test_time_that_is_off_by_two_microseconds_is_found() -> None:
    late = [*STORED[:3], replace(STORED[3], time_s=STORED[3].time_s + 2e-6), *STORED[4:]]
    (difference,) = find_differences(RECORDING, late, acknowledged=5)
    assert difference.startswith("sample 3 is dated +0.000002 s")


def test_acknowledged_record_that_is_not_stored_is_found() -> None:
    assert find_differences(RECORDING, STORED, acknowledged=6) == ["record 6 was acknowledged and is not stored"]


def test_many_differences_are_counted_and_not_listed() -> None:
    wrong = [replace(sample, value=0.0) for sample in STORED]
    assert find_differences(RECORDING, wrong, acknowledged=5)[-1] == "and 7 more"


def test_nothing_stored_and_nothing_acknowledged_is_the_same() -> None:
    assert find_differences(RECORDING, [], acknowledged=0) == []
