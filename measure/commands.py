"""What each command of ``vgroup measure`` does once its arguments are read."""

from pathlib import Path

from measure.machine import describe_machine
from measure.probes.finding import ProbeWishes, look_for_probes
from measure.report.files import make_folder
from measure.session import finish, make_consoles, open_bench, probes_table
from measure.table2.experiment import run_table2
from measure.table2.plots import draw_table2
from measure.table2.run import Table2Settings
from measure.table2.tables import all_tables
from system_ports.randomness import SystemRandom


def show_probes(wishes: ProbeWishes) -> None:
    """Try every probe once."""
    console, _ = make_consoles()
    machine = describe_machine()
    console.print(f"  {machine.title}, {machine.system}, Linux {machine.kernel}\n", highlight=False)
    console.print(probes_table(look_for_probes(wishes, model_name=machine.model, architecture=machine.architecture)))


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
