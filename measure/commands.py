"""What each command of ``vgroup measure`` does once its arguments are read."""

from collections.abc import Sequence
from pathlib import Path

from group_protocol.errors import ConfigurationError
from measure.figure8.plots import draw_figure8
from measure.figure8.run import Figure8Settings, run_figure8
from measure.figure8.tables import all_tables as figure8_tables
from measure.machine import describe_machine
from measure.probes.finding import NO_PROBE, ProbeWishes, look_for_probes
from measure.report.files import make_folder
from measure.results import Results, read_results
from measure.session import finish, make_consoles, open_bench, probes_table
from measure.table2.experiment import run_table2
from measure.table2.plots import draw_table2
from measure.table2.run import Table2Settings
from measure.table2.tables import all_tables
from measure.traffic.experiment import TrafficSettings, run_traffic
from system_ports.randomness import SystemRandom


def show_probes(wishes: ProbeWishes) -> None:
    """Try every probe once."""
    console, _ = make_consoles()
    machine = describe_machine()
    console.print(f"  {machine.title}, {machine.system}, Linux {machine.kernel}\n", highlight=False)
    console.print(probes_table(look_for_probes(wishes, model_name=machine.model, architecture=machine.architecture)))


def figure8(
    wishes: ProbeWishes, out: Path, settings: Figure8Settings, overlays: Sequence[Path], *, requires_idle: bool
) -> None:
    """Figure 8, with other machines' results over ours."""
    make_folder(out)
    others = [require_experiment(read_results(path), "figure8", path) for path in overlays]
    bench = open_bench(wishes, requires_idle=requires_idle)
    if bench.probe is None:
        raise ConfigurationError(
            "this machine has no source of power figures, so there is nothing to draw",
            remedy="See: vgroup measure probes. A model needs --busy-core-w and --busy-core-source.",
        )
    try:
        results = run_figure8(bench.machine, bench.checks, bench.probe, bench.missing, settings, bench.progress)
    finally:
        bench.probe.close()
    plots = {"figure8": draw_figure8([results])}
    if others:
        plots["figure8.overlay"] = draw_figure8([results, *others])
    finish(bench, out, results, figure8_tables(results), plots)


def traffic(out: Path, settings: TrafficSettings) -> None:
    """Figures 9 to 13."""
    make_folder(out)
    bench = open_bench(ProbeWishes(NO_PROBE))
    results, tables, plots = run_traffic(bench.machine, bench.checks, settings, bench.progress)
    finish(bench, out, results, tables, plots)


def require_experiment(results: Results, experiment: str, path: Path) -> Results:
    """Refuse another experiment's results. Raises ConfigurationError."""
    if results.experiment != experiment:
        raise ConfigurationError(f"{path} holds {results.experiment}, not {experiment}", remedy="Name another file.")
    return results


def table2(
    wishes: ProbeWishes, out: Path, *, experiments: int, joins: int, window_s: float, requires_idle: bool
) -> None:
    """Table 2."""
    make_folder(out)
    bench = open_bench(wishes, requires_idle=requires_idle)
    settings = Table2Settings(experiments=experiments, window_s=window_s)
    try:
        results = run_table2(
            bench.machine, bench.checks, bench.probe, bench.missing, settings, joins, SystemRandom(), bench.progress
        )
    finally:
        if bench.probe is not None:
            bench.probe.close()
    plots = {"table2": draw_table2(results)} if results.series else {}
    finish(bench, out, results, all_tables(results), plots)
