from pathlib import Path
from typing import Any

import pytest

from group_protocol.errors import ConfigurationError
from measure.errors import MeasurementError
from measure.probes.port import Domain
from measure.probes.rapl import RaplProbe
from measure.quantities import MeasuredEnergy
from tests.unit.measure.probes.sysfs_trees import LAPTOP, SERVER, lay_out


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_laptop_has_no_dram_and_its_mmio_copy_is_not_counted_twice(tmp_path: Path) -> None:
    probe = RaplProbe(lay_out(tmp_path, LAPTOP))
    assert probe.card.domains == (Domain.PACKAGE, Domain.CORES, Domain.UNCORE)
    assert not probe.card.is_modelled
    assert set(probe.mark().counters) == {"intel-rapl:0", "intel-rapl:0:0", "intel-rapl:0:1"}


def test_counter_that_wraps_within_the_window_is_put_right(tmp_path: Path) -> None:
    seconds = Seconds()
    probe = RaplProbe(lay_out(tmp_path, LAPTOP), seconds)
    begin = probe.mark()
    (tmp_path / "class/powercap/intel-rapl:0/energy_uj").write_text("671149\n", "ascii")
    (tmp_path / "class/powercap/intel-rapl:0:0/energy_uj").write_text("3500000\n", "ascii")
    seconds.now += 1.0
    spent = probe.energy(begin, probe.mark())
    assert spent[Domain.PACKAGE].joules == pytest.approx((262143328850 - 262143000000 + 671149 + 1) * 1e-6)
    assert spent[Domain.CORES].joules == pytest.approx(2.5)
    assert spent[Domain.UNCORE].joules == 0.0
    package = spent[Domain.PACKAGE]
    assert isinstance(package, MeasuredEnergy)
    assert package.uncertainty_j == pytest.approx(package.joules * 0.001 / 3**0.5)


def test_two_sockets_are_added_up(tmp_path: Path) -> None:
    seconds = Seconds()
    probe = RaplProbe(lay_out(tmp_path, SERVER), seconds)
    begin = probe.mark()
    for zone, content in (("0", "3000000"), ("1", "2000000"), ("1:0", "1500000")):
        (tmp_path / f"class/powercap/intel-rapl:{zone}/energy_uj").write_text(content, "ascii")
    seconds.now += 0.1
    spent = probe.energy(begin, probe.mark())
    assert spent[Domain.PACKAGE].joules == pytest.approx(3.0)
    assert spent[Domain.DRAM].joules == pytest.approx(0.5)


def test_window_long_enough_for_two_wraps_is_refused(tmp_path: Path) -> None:
    seconds = Seconds()
    probe = RaplProbe(lay_out(tmp_path, SERVER), seconds)
    begin = probe.mark()
    seconds.now += 3_600
    with pytest.raises(MeasurementError, match="wrapped more than once"):
        probe.energy(begin, probe.mark())


def test_machine_without_powercap_says_where_rapl_exists(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no RAPL zones") as caught:
        RaplProbe(tmp_path)
    assert "Raspberry Pi" in caught.value.remedy


def test_counter_for_root_only_explains_the_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(tmp_path, LAPTOP)
    read_text = Path.read_text

    def refuse(path: Path, *arguments: Any, **options: Any) -> str:
        # The tests may run as root, whom no mode keeps out: the kernel's refusal is played.
        if path.name == "energy_uj":
            raise PermissionError(13, "Permission denied", str(path))
        return read_text(path, *arguments, **options)

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(ConfigurationError, match="may not be read") as caught:
        RaplProbe(tmp_path)
    assert "CVE-2020-8694" in caught.value.remedy
    assert "chmod" in caught.value.remedy


def test_zone_that_shows_no_number_is_named(tmp_path: Path) -> None:
    lay_out(tmp_path, {**LAPTOP, "class/powercap/intel-rapl:0/energy_uj": "?\n"})
    with pytest.raises(ConfigurationError, match=r"intel-rapl:0/energy_uj cannot be read"):
        RaplProbe(tmp_path)
