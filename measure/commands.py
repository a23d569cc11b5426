"""What each command of ``vgroup measure`` does once its arguments are read."""

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from master_api.config_sources import load_config as load_master_config
from master_api.store.store import Store
from measure.comparing import compare, comparison_table
from measure.errors import MeasurementError
from measure.figure8.plots import draw_figure8
from measure.figure8.run import Figure8Settings, run_figure8
from measure.figure8.tables import all_tables as figure8_tables
from measure.fleet.agent import send_results
from measure.fleet.collect import fetch_arrived, fetch_names, fleet_table
from measure.fleet.parcels import Arrived, newest_of_each
from measure.machine import describe_machine
from measure.probes.finding import NO_PROBE, ProbeWishes, look_for_probes
from measure.report.files import make_folder, write_text
from measure.report.manifest import manifest_json, manifest_tables
from measure.report.page import Section, render_page
from measure.report.plots import save
from measure.report.tables import to_latex, to_markdown, to_terminal
from measure.results import Results, read_results
from measure.session import Bench, Outcome, end, make_consoles, open_bench, probes_table, show_and_write
from measure.table2.experiment import run_table2
from measure.table2.plots import draw_table2
from measure.table2.run import Table2Settings
from measure.table2.tables import all_tables as table2_tables
from measure.traffic.experiment import TrafficSettings, run_traffic
from slave_client.config import load_config
from slave_client.errors import MasterUnreachableError
from system_ports.randomness import SystemRandom

_PATIENCE_S = 60.0
"""How long an agent waits for its master; what is not delivered then stays in its buffer."""
TITLES = {
    "table2": "Table 2: preparing messages",
    "figure8": "Figure 8: power against time",
    "traffic": "Figures 9 to 13: traffic",
}


def show_probes(wishes: ProbeWishes) -> None:
    """Try every probe once."""
    console, _ = make_consoles()
    machine = describe_machine()
    console.print(f"  {machine.title}, {machine.system}, Linux {machine.kernel}\n", highlight=False)
    console.print(probes_table(look_for_probes(wishes, model_name=machine.model, architecture=machine.architecture)))


def table2(wishes: ProbeWishes, out: Path, settings: Table2Settings, joins: int, *, requires_idle: bool) -> None:
    """Table 2."""
    _run_one(wishes, out, lambda bench: _table2(bench, settings, joins), requires_idle=requires_idle)


def figure8(
    wishes: ProbeWishes, out: Path, settings: Figure8Settings, overlays: Sequence[Path], *, requires_idle: bool
) -> None:
    """Figure 8, with other machines' results over ours."""
    others = [require_experiment(read_results(path), "figure8", path) for path in overlays]
    _run_one(wishes, out, lambda bench: _figure8(bench, settings, others), requires_idle=requires_idle)


def traffic(out: Path, settings: TrafficSettings) -> None:
    """Figures 9 to 13."""
    _run_one(ProbeWishes(NO_PROBE), out, lambda bench: _traffic(bench, settings), requires_idle=False)


def everything(wishes: ProbeWishes, out: Path, experiments: int, joins: int, *, requires_idle: bool) -> None:
    """All experiments, the manifest, and one page. A stop leaves the rest out and still writes the page."""
    make_folder(out)
    bench = open_bench(wishes, requires_idle=requires_idle)
    steps: list[Callable[[Bench], Outcome]] = [
        lambda bench: _table2(bench, Table2Settings(experiments=experiments), joins),
        lambda bench: _traffic(bench, TrafficSettings()),
    ]
    if bench.probe is not None:
        steps.insert(1, lambda bench: _figure8(bench, Figure8Settings(), []))
    outcomes: list[Outcome] = []
    try:
        for step in steps:
            outcomes.append(step(bench))
            show_and_write(bench, out, outcomes[-1], shows_appendix=False)
            if outcomes[-1].results.is_partial:
                break
    finally:
        if bench.probe is not None:
            bench.probe.close()
        _write_page(bench, out, outcomes)
    for outcome in outcomes:
        end(bench, outcome.results)


def send_as_agent(state_dir: Path | None, files: Sequence[Path], wishes: ProbeWishes, experiments: int) -> None:
    """Measure Table 2 on this device, or take results that are there, and send them to its master."""
    config = load_config(state_dir=state_dir, config_file=None, options={})
    all_results = [read_results(path) for path in files]
    if not all_results:
        bench = open_bench(wishes)
        try:
            all_results.append(_table2(bench, Table2Settings(experiments=experiments), 0).results)
        finally:
            if bench.probe is not None:
                bench.probe.close()
    _, aside = make_consoles()
    is_sent = asyncio.run(
        send_results(
            config.state_dir, all_results, patience_s=_PATIENCE_S, report=lambda line: aside.print(f"  {line}")
        )
    )
    if not is_sent:
        raise MasterUnreachableError(
            "the master has not acknowledged everything", remedy="It is kept: the next vgroup slave run delivers it."
        )
    aside.print(f"  {len(all_results)} results sent and acknowledged.")


def collect_runs(data_dir: Path | None, out: Path) -> None:
    """One table with a column per machine, out of what the master has stored."""
    store = Store(load_master_config(data_dir).resolved_store_url, may_create=False)
    try:
        arrived, names = store.read_now(fetch_arrived), store.read_now(fetch_names)
    finally:
        store.close()
    if not arrived:
        raise ConfigurationError(
            "no device has sent results",
            remedy="Run vgroup measure agent on each device.",
            code=ErrorCode.MEASUREMENT_FILE_WRONG,
        )
    make_folder(out)
    console, _ = make_consoles()
    for one in arrived:
        one.results.write(out / f"{one.oid.hex()}-{one.results.experiment}.json")
    tables = [fleet_table(found, names)] if (found := _by_name(newest_of_each(arrived, "table2"), names)) else []
    for table in tables:
        console.print(to_terminal(table))
        write_text(out / "machines.md", to_markdown(table))
        write_text(out / "machines.tex", to_latex(table))
    if traces := newest_of_each(arrived, "figure8"):
        save(draw_figure8([one.results for one in traces]), out, "machines.figure8")


def _by_name(arrived: Sequence[Arrived], names: dict[bytes, str]) -> list[Arrived]:
    return sorted(arrived, key=lambda one: (names.get(bytes(one.oid), ""), one.oid))


def compare_runs(first_path: Path, second_path: Path, out: Path | None) -> None:
    """Say of every series in both files whether they differ."""
    first, second = read_results(first_path), read_results(second_path)
    require_experiment(second, first.experiment, second_path)
    comparisons = compare(first, second)
    if not comparisons:
        raise MeasurementError("the two files have no series in common")
    console, _ = make_consoles()
    table = comparison_table(first, second, comparisons)
    console.print(to_terminal(table))
    if out is not None:
        write_text(out, to_markdown(table))


def require_experiment(results: Results, experiment: str, path: Path) -> Results:
    """Refuse another experiment's results. Raises ConfigurationError."""
    if results.experiment != experiment:
        raise ConfigurationError(
            f"{path} holds {results.experiment}, not {experiment}",
            remedy="Name another file.",
            code=ErrorCode.MEASUREMENT_FILE_WRONG,
        )
    return results


def _run_one(wishes: ProbeWishes, out: Path, run: Callable[[Bench], Outcome], *, requires_idle: bool) -> None:
    make_folder(out)
    bench = open_bench(wishes, requires_idle=requires_idle)
    try:
        outcome = run(bench)
    finally:
        if bench.probe is not None:
            bench.probe.close()
    show_and_write(bench, out, outcome, shows_appendix=True)
    end(bench, outcome.results)


def _table2(bench: Bench, settings: Table2Settings, joins: int) -> Outcome:
    results = run_table2(
        bench.machine, bench.checks, bench.probe, bench.missing, settings, joins, SystemRandom(), bench.progress
    )
    return Outcome(results, table2_tables(results), {"table2": draw_table2(results)} if results.series else {})


def _figure8(bench: Bench, settings: Figure8Settings, others: Sequence[Results]) -> Outcome:
    if bench.probe is None:
        raise ConfigurationError(
            "this machine has no source of power figures, so there is nothing to draw",
            remedy="See: vgroup measure probes. A model needs --busy-core-w and --busy-core-source.",
            code=ErrorCode.NO_POWER_PROBE,
        )
    results = run_figure8(bench.machine, bench.checks, bench.probe, bench.missing, settings, bench.progress)
    plots = {"figure8": draw_figure8([results])}
    if others:
        plots["figure8.overlay"] = draw_figure8([results, *others])
    return Outcome(results, figure8_tables(results), plots)


def _traffic(bench: Bench, settings: TrafficSettings) -> Outcome:
    return run_traffic(bench.machine, bench.checks, settings, bench.progress)


def _write_page(bench: Bench, out: Path, outcomes: Sequence[Outcome]) -> None:
    results = [outcome.results for outcome in outcomes]
    manifest = manifest_json(bench.machine, bench.condition, bench.found, results)
    write_text(out / "manifest.json", json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
    sections = [
        Section(
            one.results.experiment, TITLES[one.results.experiment], one.results, one.tables, one.plots, one.appendix
        )
        for one in outcomes
    ]
    page = render_page(bench.machine, manifest_tables(bench.machine, bench.condition, bench.found, results), sections)
    write_text(out / "report.html", page)
    bench.aside.print(f"  Report: {out / 'report.html'}", highlight=False)
