"""Results of several devices, over the group's own channel."""

from pathlib import Path

import pytest

from group_protocol.errors import ConfigurationError
from measure.fleet.agent import send_results
from measure.fleet.collect import fetch_arrived, fetch_names, fleet_table
from measure.fleet.parcels import newest_of_each
from measure.quantities import ModelledSeries
from measure.table2.operations import OURS
from measure.table2.published import DATA
from tests.support.running_master import running_master
from tests.support.slave_bench import paired_slave
from tests.unit.measure.results_of import results_with, times
from tests.unit.measure.test_outputs import FULL

pytestmark = pytest.mark.network


async def test_results_of_two_devices_stand_side_by_side_each_under_its_name(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench:
        folders = []
        for seed in (1, 2):
            async with paired_slave(tmp_path, bench, seed=seed) as slave:
                folders.append(slave.directory.path)
        older, newer = results_with(times(OURS, DATA, 9.0, 9.0)), results_with(times(OURS, DATA, 1.0, 1.0))
        assert await send_results(folders[0], [older, newer], patience_s=20, report=lambda _line: None)
        assert await send_results(folders[1], [FULL], patience_s=20, report=lambda _line: None)
        arrived = newest_of_each(bench.store.read_now(fetch_arrived), "table2")
        table = fleet_table(arrived, bench.store.read_now(fetch_names))
    assert {one.results.series[0].values for one in arrived} == {(1.0, 1.0), (0.5, 0.6, 0.7)}
    assert sorted(title.split(":")[0] for title in table.head[1:]) == ["bed 1", "bed 2"]
    full = next(one.results for one in arrived if len(one.results.series) > 1)
    assert full == FULL
    assert any(isinstance(series, ModelledSeries) for series in full.series)
    assert any("modelled" in cell for row in table.rows for cell in row)


async def test_device_that_has_not_joined_cannot_send(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not been paired"):
        await send_results(tmp_path / "new", [FULL], patience_s=1, report=lambda _line: None)


async def test_results_stay_in_the_buffer_while_the_master_is_away(tmp_path: Path) -> None:
    async with running_master(tmp_path) as bench, paired_slave(tmp_path, bench, seed=3) as slave:
        folder = slave.directory.path
    assert not await send_results(folder, [FULL], patience_s=0.5, report=lambda _line: None)
    assert any(path.stat().st_size > 1_000 for path in folder.iterdir())
