"""What `make bench-chain` makes of its raw values."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.chain.figures import percentile, percentiles
from benchmarks.chain.joined import crowd_sizes
from benchmarks.chain.page import delays, write_page
from benchmarks.chain.plots import write_plots
from benchmarks.chain.results import Results


def join(total_s: float) -> dict[str, float]:
    return {"total_s": total_s, "crypto_s": 0.1, "chain_s": 0.5, "other_s": total_s - 0.6, "repeats": 1}


def crowd(devices: int, seconds: float, *, lost: int = 0, twice: int = 0) -> dict[str, Any]:
    return {
        "devices": devices, "seconds": seconds, "transactions": 1, "blocks": 1, "gas": 100 * devices, "lost": lost,
        "twice": twice, "joins": [join(seconds)] * devices,
    }  # fmt: skip


def test_percentile_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, percent) for percent in (0, 1, 50, 99, 100)] == [1, 1, 50, 99, 100]
    assert percentile([3.0, 1.0], 50) == 1.0
    assert percentiles([2.0])["p99"] == 2.0


def test_rounds_of_one_size_are_put_together() -> None:
    small, large = crowd_sizes([crowd(10, 2.0), crowd(1, 1.0), crowd(10, 4.0, lost=1, twice=2)])
    assert (small.devices, large.devices, large.rounds) == (1, 10, 2)
    assert (large.seconds, large.per_s, large.gas_per_device) == (3.0, 10 / 3.0, 100.0)
    assert (large.lost, large.twice, large.repeats) == (1, 2, 20)


def test_cut_that_was_heard_before_the_block_counts_as_no_delay() -> None:
    cuts = [{"block_unix_s": 10, "cut_unix_s": 10.5}, {"block_unix_s": 10, "cut_unix_s": 9.9}]
    assert delays(cuts, "block_unix_s") == pytest.approx([0.5, 0.0])


def test_page_says_met_or_missed_and_names_load_and_note(tmp_path: Path) -> None:
    results = Results.read(tmp_path, note="two others worked")
    results.put("gas", "embedded", {"associate": 58_301.0, "deployment": 1.0})
    results.put("joins", "embedded", [crowd(10, 2.0, lost=3)])
    for site, cut_unix_s in (("quick", 11.0), ("slow", 13.0)):
        cuts = [{"block_number": 1, "block_unix_s": 10, "arrived_unix_s": 10.0, "cut_unix_s": cut_unix_s}] * 100
        found = {"period_s": 1, "members": 130, "records_acknowledged": 50, "seconds": 5.0, "cuts": cuts}
        results.put("revocation", site, found)
    again = Results.read(tmp_path)
    write_page(again)
    page = (tmp_path / "README.md").read_text("utf-8")
    assert "two others worked" in page
    assert "| embedded | 10 | 2.00 | 5.0 | 1 | 100 | 3 | 0 | 10 |" in page
    rows = [line for line in page.splitlines() if "its timestamp" in line]
    assert [row.split("|")[-2].strip() for row in rows] == ["met", "MISSED"]
    write_plots(again)
    assert {path.name for path in tmp_path.glob("*.png")} == {"gas.png", "joins.png", "crowds.png", "revocation.png"}
