"""Is what the master stored what the slave sent? Sample by sample, against the recording itself."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from vgroup.demo.recordings import Recording

TIME_TOLERANCE_S: Final = 1e-6
"""Unix seconds of these years have a step of 2.4e-7 s as IEEE 754 doubles, and a difference of sums has a few of
them."""
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class StoredSample:
    """One reading as the master's export tells it. ``seq`` is the number of its record."""

    seq: int
    time_s: float
    value: float


def find_differences(
    recording: Recording, stored: Sequence[StoredSample], *, acknowledged: int, others: Collection[int] = ()
) -> list[str]:
    """Compare stored samples, in the order of the export, with the recording; says in words what differs.

    Every stored value has to equal the recording's, bit by bit; every time has to lie as far from the first as in the
    recording; and there has to be every record from 1 to the highest that was acknowledged.

    Args:
        recording: What the slave replayed, again and again from its beginning.
        stored: The export.
        acknowledged: The highest record number that the slave saw acknowledged.
        others: Numbers of its records that hold no samples.
    """
    seqs = {sample.seq for sample in stored} | set(others)
    missing = [seq for seq in range(1, acknowledged + 1) if seq not in seqs]
    differences = [f"record {seq} was acknowledged and is not stored" for seq in missing[:_SHOWN]]
    differing = [
        text for index, sample in enumerate(stored) if (text := _difference(recording, stored[0], index, sample))
    ]
    differences += differing[:_SHOWN]
    if (more := len(missing) + len(differing) - len(differences)) > 0:
        differences.append(f"and {more:,} more")
    return differences


def _difference(recording: Recording, first: StoredSample, index: int, sample: StoredSample) -> str:
    sent = recording.sample(index)
    if sample.value != sent:
        return f"sample {index:,} is stored as {sample.value!r}, {recording.name} has {sent!r}"
    late_s = (sample.time_s - first.time_s) - recording.offset_s(index)
    if abs(late_s) > TIME_TOLERANCE_S:
        return f"sample {index:,} is dated {late_s:+.6f} s away from its place in {recording.name}"
    return ""
