"""The results file of many kills: one ward beside the other, each with its machine."""

import json
from pathlib import Path

from tests.kills.result import write_result


def test_second_ward_stands_beside_the_first_and_a_later_run_takes_its_place(tmp_path: Path) -> None:
    path = tmp_path / "results" / "kills.json"
    write_result("chain in the master", {"kills": 500}, path)
    write_result("chain in a gateway", {"kills": 501}, path)
    write_result("chain in the master", {"kills": 502}, path)
    document = json.loads(path.read_text("utf-8"))
    assert {ward: result["kills"] for ward, result in document.items()} == {
        "chain in the master": 502,
        "chain in a gateway": 501,
    }
    assert all(result["machine"]["cpu_count"] >= 1 for result in document.values())
