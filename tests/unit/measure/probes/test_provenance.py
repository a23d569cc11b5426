from pathlib import Path

import pytest

from group_protocol.errors import ConfigurationError
from measure.errors import ProvenanceError
from measure.machine import describe_machine
from measure.probes.coefficients import find_coefficient
from measure.probes.cpu_time import CpuTimeModel
from measure.probes.finding import ProbeWishes, look_for_probes, open_probe
from measure.probes.port import Domain
from measure.quantities import (
    MODELLED_MARK,
    MeasuredEnergy,
    MeasuredSeries,
    ModelledEnergy,
    ModelledSeries,
    SeriesKey,
    mark_of,
    require_same_provenance,
    series_of,
)
from tests.unit.measure.probes.sysfs_trees import LAPTOP, lay_out

KEY = SeriesKey("ours", "data message", "energy", "µJ")


def no_pmic() -> str:
    raise ConfigurationError("vcgencmd is not installed")


def test_series_of_measured_and_modelled_energies_is_refused() -> None:
    with pytest.raises(ProvenanceError):
        series_of(KEY, [MeasuredEnergy(1.0), ModelledEnergy(1.0)], 1.0, "both")
    with pytest.raises(ProvenanceError):
        series_of(KEY, [], 1.0, "nothing")


def test_series_keeps_what_its_energies_are() -> None:
    measured = series_of(KEY, [MeasuredEnergy(2.0)], 1e6, "RAPL")
    modelled = series_of(KEY, [ModelledEnergy(2.0)], 1e6, "model")
    assert isinstance(measured, MeasuredSeries)
    assert isinstance(modelled, ModelledSeries)
    assert (mark_of(measured), mark_of(modelled)) == ("", MODELLED_MARK)
    with pytest.raises(ProvenanceError):
        require_same_provenance(measured, modelled)


def test_two_models_are_not_compared() -> None:
    with pytest.raises(ProvenanceError, match="different models"):
        require_same_provenance(ModelledSeries(KEY, (1.0,), "a"), ModelledSeries(KEY, (1.0,), "b"))


def test_cpu_time_model_answers_modelled_energy_only() -> None:
    coefficient = find_coefficient("Raspberry Pi 4 Model B Rev 1.4", "aarch64")
    assert coefficient is not None
    seconds = iter([1.0, 3.0])
    probe = CpuTimeModel(coefficient, lambda: next(seconds))
    assert probe.energy(probe.mark(), probe.mark()) == {Domain.PROCESS: ModelledEnergy(2 * 0.925)}
    assert probe.card.is_modelled
    assert "Pi Dramble" in probe.card.detail


def test_coefficient_of_another_processor_warns_and_an_unknown_machine_has_none() -> None:
    stands_in = find_coefficient("Intel(R) Xeon(R) Processor", "x86_64")
    assert stands_in is not None
    assert "ANOTHER PROCESSOR" in stands_in.text
    assert find_coefficient("Raspberry Pi 3 Model B Plus Rev 1.3", "aarch64") != find_coefficient(
        "Raspberry Pi 3 Model B Rev 1.2", "aarch64"
    )
    assert find_coefficient("Something else", "riscv64") is None


def test_best_probe_is_chosen_and_the_missing_ones_say_why(tmp_path: Path) -> None:
    found = look_for_probes(
        ProbeWishes(), model_name="x", architecture="riscv64", sysfs=lay_out(tmp_path, LAPTOP), run_pmic=no_pmic
    )
    assert [one.name for one in found if one.make is not None] == ["rapl"]
    assert all(one.missing for one in found if one.make is None)
    probe = open_probe(ProbeWishes(), found)
    assert probe is not None
    assert probe.card.name == "RAPL"


def test_machine_without_any_probe_has_none_and_a_wish_for_one_is_refused(tmp_path: Path) -> None:
    found = look_for_probes(ProbeWishes(), model_name="x", architecture="riscv64", sysfs=tmp_path, run_pmic=no_pmic)
    assert open_probe(ProbeWishes(), found) is None
    with pytest.raises(ConfigurationError, match="no RAPL zones"):
        open_probe(ProbeWishes("rapl"), found)
    with pytest.raises(ConfigurationError, match="unknown kind"):
        open_probe(ProbeWishes("sundial"), found)


def test_coefficient_without_a_source_is_refused(tmp_path: Path) -> None:
    wishes = ProbeWishes("model", busy_core_w=2.0)
    found = look_for_probes(wishes, model_name="x", architecture="riscv64", sysfs=tmp_path, run_pmic=no_pmic)
    with pytest.raises(ConfigurationError, match="without a source"):
        open_probe(wishes, found)


def test_this_machine_says_of_every_probe_what_it_is_or_why_it_is_not_there() -> None:
    machine = describe_machine()
    for found in look_for_probes(ProbeWishes(), model_name=machine.model, architecture=machine.architecture):
        assert (found.card is None) == (found.make is None) == bool(found.missing)
        if found.make is not None:
            probe = found.make()
            spent = probe.energy(probe.mark(), probe.mark())
            probe.close()
            expected = ModelledEnergy if probe.card.is_modelled else MeasuredEnergy
            assert {type(energy) for energy in spent.values()} == {expected}
