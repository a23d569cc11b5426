from pathlib import Path

import pytest

from group_protocol.errors import ConfigurationError
from measure.errors import MeasurementError
from measure.probes.ina import InaSensor
from measure.probes.pi_pmic import PmicSensor, parse_rails
from measure.probes.port import Domain, Mark, ProbeCard
from measure.probes.sampled import Integral, SampledProbe
from measure.quantities import MeasuredEnergy
from tests.unit.measure.probes.sysfs_trees import PI_WITH_INA219, PMIC_OUTPUT, lay_out


def test_ina219_is_found_by_name_and_read_in_watts(tmp_path: Path) -> None:
    sensor = InaSensor(lay_out(tmp_path, PI_WITH_INA219))
    assert sensor.read_w() == {Domain.BOARD: pytest.approx(2.7)}
    assert sensor.card.name == "INA219"
    assert sensor.card.shortest_window_s == 0.25


def test_ina226_takes_its_own_interval(tmp_path: Path) -> None:
    tree = {**PI_WITH_INA219, "class/hwmon/hwmon1/name": "ina226\n", "class/hwmon/hwmon1/update_interval": "140\n"}
    sensor = InaSensor(lay_out(tmp_path, tree))
    assert sensor.interval_s == 0.14
    assert sensor.card.shortest_window_s == pytest.approx(1.4)


def test_board_without_ina_says_how_to_add_one(tmp_path: Path) -> None:
    lay_out(tmp_path, {"class/hwmon/hwmon0/name": "cpu_thermal\n"})
    with pytest.raises(ConfigurationError, match="no INA219") as caught:
        InaSensor(tmp_path)
    assert "dtoverlay" in caught.value.remedy


def test_pmic_multiplies_current_and_voltage_of_each_rail_and_leaves_voltages_alone() -> None:
    rails = parse_rails(PMIC_OUTPUT)
    assert set(rails) == {"3V7_WL_SW", "3V3_SYS", "DDR_VDD2", "DDR_VDDQ", "VDD_CORE"}
    assert rails["VDD_CORE"] == pytest.approx(1.12305 * 0.720475)


def test_pmic_shows_cores_memory_and_board() -> None:
    watts = PmicSensor(lambda: PMIC_OUTPUT).read_w()
    assert watts[Domain.DRAM] == pytest.approx(0.02049453 * 1.107328)
    assert watts[Domain.BOARD] == pytest.approx(sum(parse_rails(PMIC_OUTPUT).values()))
    assert watts[Domain.CORES] < watts[Domain.BOARD]


def test_pi_without_pmic_rails_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="shows no rails"):
        PmicSensor(lambda: 'error=1 error_msg="Command not registered"\n')


def test_integral_adds_trapezoids() -> None:
    integral = Integral()
    for now_s, power_w in ((0.0, 1.0), (1.0, 3.0), (3.0, 3.0)):
        integral.add(now_s, {Domain.BOARD: power_w})
    assert integral.joules == {Domain.BOARD: 2.0 + 6.0}


class SteadySensor:
    """Two watts, until it breaks."""

    interval_s = 3_600.0
    uncertainty = 0.005

    def __init__(self) -> None:
        self.card = ProbeCard("steady", is_modelled=False, detail="", domains=(Domain.BOARD,), shortest_window_s=0.1)
        self.is_broken = False

    def read_w(self) -> dict[Domain, float]:
        if self.is_broken:
            raise MeasurementError("the wire came off")
        return {Domain.BOARD: 2.0}


def test_sampled_energy_carries_the_data_sheets_uncertainty() -> None:
    ticks = iter([0.0, 1.0, 1.0, 3.0, 3.0])
    probe = SampledProbe(SteadySensor(), lambda: next(ticks))
    try:
        spent = probe.energy(probe.mark(), probe.mark())
    finally:
        probe.close()
    assert spent == {Domain.BOARD: MeasuredEnergy(4.0, 0.02)}


def test_sensor_that_breaks_is_reported_when_its_energy_is_wanted() -> None:
    sensor = SteadySensor()
    probe = SampledProbe(sensor)
    sensor.is_broken = True
    probe.mark()
    probe.close()
    with pytest.raises(MeasurementError, match="wire came off"):
        probe.energy(Mark(0, 0), Mark(1, 1))
