"""``vgroup measure``: the paper's experiments, one command each. Nothing heavy is imported before it is needed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from measure.probes.finding import ProbeWishes

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

Out = Annotated[Path, typer.Option(help="Folder for tables, plots and raw samples.")]
ProbeName = Annotated[
    str, typer.Option("--probe", help="Where energies come from: auto, rapl, ina, pmic, meter, model or none.")
]
MeterFile = Annotated[Path | None, typer.Option("--meter", help="CSV that an external meter's program writes.")]
MeterOffset = Annotated[float, typer.Option("--meter-offset-s", help="Seconds to add to the meter's clock.")]
MeterStep = Annotated[float, typer.Option("--meter-step-s", help="Seconds between two readings of the meter.")]
BusyCore = Annotated[float | None, typer.Option("--busy-core-w", help="The model's watts per busy core above idle.")]
BusyCoreSource = Annotated[str, typer.Option("--busy-core-source", help="Who measured --busy-core-w.")]
RequiresIdle = Annotated[bool, typer.Option("--require-idle", help="Measure nothing unless the machine is quiet.")]
DEFAULT_OUT = Path("vgroup-measure")


@app.command("probes")
def probes_command(
    *,
    probe: ProbeName = "auto",
    meter: MeterFile = None,
    meter_offset_s: MeterOffset = 0.0,
    meter_step_s: MeterStep = 1.0,
    busy_core_w: BusyCore = None,
    busy_core_source: BusyCoreSource = "",
) -> None:
    """Show which sources of energy figures this machine has, and why not the others."""
    from measure.commands import show_probes  # noqa: PLC0415 - numpy and matplotlib are loaded when they are needed

    show_probes(_wishes(probe, meter, meter_offset_s, meter_step_s, busy_core=(busy_core_w, busy_core_source)))


@app.command("table2")
def table2_command(  # noqa: PLR0913 - Typer makes an option of each parameter
    *,
    experiments: Annotated[int, typer.Option(help="Repetitions; the paper has 100.", min=2)] = 100,
    joins: Annotated[int, typer.Option(help="Real joins, for network and block time; 0 for none.", min=0)] = 10,
    window_ms: Annotated[float, typer.Option(help="Shortest time that one energy figure spans.", min=1)] = 50.0,
    out: Out = DEFAULT_OUT,
    probe: ProbeName = "auto",
    meter: MeterFile = None,
    meter_offset_s: MeterOffset = 0.0,
    meter_step_s: MeterStep = 1.0,
    busy_core_w: BusyCore = None,
    busy_core_source: BusyCoreSource = "",
    requires_idle: RequiresIdle = False,
) -> None:
    """Table 2: time and energy of preparing an association request and a data message."""
    from measure.commands import table2  # noqa: PLC0415 - as above
    from measure.table2.run import Table2Settings  # noqa: PLC0415 - as above

    wishes = _wishes(probe, meter, meter_offset_s, meter_step_s, busy_core=(busy_core_w, busy_core_source))
    settings = Table2Settings(experiments=experiments, window_s=window_ms / 1_000)
    table2(wishes, out, settings, joins, requires_idle=requires_idle)


@app.command("figure8")
def figure8_command(  # noqa: PLR0913 - as above
    *,
    messages: Annotated[int, typer.Option(help="Messages in the loop; the paper has 100.", min=1)] = 100,
    pause_ms: Annotated[float, typer.Option(help="Between two messages; the paper has 100.", min=0)] = 100.0,
    before_s: Annotated[float, typer.Option(help="First idle phase.", min=1)] = 12.0,
    after_s: Annotated[float, typer.Option(help="Last idle phase.", min=1)] = 8.0,
    sample_ms: Annotated[float, typer.Option(help="Between two readings of the probe.", min=10)] = 100.0,
    overlay: Annotated[
        list[Path] | None, typer.Option(help="figure8.json of another machine, drawn over ours (repeatable).")
    ] = None,
    out: Out = DEFAULT_OUT,
    probe: ProbeName = "auto",
    meter: MeterFile = None,
    meter_offset_s: MeterOffset = 0.0,
    meter_step_s: MeterStep = 1.0,
    busy_core_w: BusyCore = None,
    busy_core_source: BusyCoreSource = "",
    requires_idle: RequiresIdle = False,
) -> None:
    """Figure 8: power of CPU and DRAM while a device idles, sends 100 messages, and idles."""
    from measure.commands import figure8  # noqa: PLC0415 - as above
    from measure.figure8.run import Figure8Settings  # noqa: PLC0415 - as above

    wishes = _wishes(probe, meter, meter_offset_s, meter_step_s, busy_core=(busy_core_w, busy_core_source))
    settings = Figure8Settings(messages, pause_ms / 1_000, before_s, after_s, sample_ms / 1_000)
    figure8(wishes, out, settings, overlay or [], requires_idle=requires_idle)


@app.command("traffic")
def traffic_command(
    *,
    suite: Annotated[
        list[str] | None,
        typer.Option(help="Key exchange of our slave: H1 (with ML-KEM, the default one), E1 (repeatable).  [both]"),
    ] = None,
    uses_tshark: Annotated[
        bool, typer.Option("--tshark/--no-tshark", help="Listen with tshark if it is installed, or with our own proxy.")
    ] = True,
    interface: Annotated[
        str, typer.Option(help="Listen to others on this interface, instead of our own exchange.")
    ] = "",
    port: Annotated[int, typer.Option(help="With --interface: the master's TCP port.", min=1, max=65_535)] = 3000,
    seconds: Annotated[int, typer.Option(help="With --interface: how long.", min=1)] = 30,
    out: Out = DEFAULT_OUT,
) -> None:
    """Figures 9 to 13: packets, fields and bytes of a real exchange, and what a listener learns."""
    from measure.commands import traffic  # noqa: PLC0415 - as above
    from measure.traffic.experiment import SUITES, TrafficSettings  # noqa: PLC0415 - as above

    traffic(out, TrafficSettings(tuple(suite or SUITES), uses_tshark, interface, port, seconds))


@app.command("all")
def all_command(  # noqa: PLR0913 - as above
    *,
    experiments: Annotated[int, typer.Option(help="Repetitions of Table 2; the paper has 100.", min=2)] = 100,
    joins: Annotated[int, typer.Option(help="Real joins, for network and block time.", min=0)] = 10,
    out: Out = DEFAULT_OUT,
    probe: ProbeName = "auto",
    meter: MeterFile = None,
    meter_offset_s: MeterOffset = 0.0,
    meter_step_s: MeterStep = 1.0,
    busy_core_w: BusyCore = None,
    busy_core_source: BusyCoreSource = "",
    requires_idle: RequiresIdle = False,
) -> None:
    """Everything, with a manifest and one HTML page that holds all tables and plots."""
    from measure.commands import everything  # noqa: PLC0415 - as above

    wishes = _wishes(probe, meter, meter_offset_s, meter_step_s, busy_core=(busy_core_w, busy_core_source))
    everything(wishes, out, experiments, joins, requires_idle=requires_idle)


@app.command("compare")
def compare_command(
    first: Annotated[Path, typer.Argument(metavar="A.json", help="Results of a run.")],
    second: Annotated[Path, typer.Argument(metavar="B.json", help="Results of another run of the same experiment.")],
    *,
    out: Annotated[Path | None, typer.Option(help="Write the table here as Markdown too.")] = None,
) -> None:
    """Say of every series in two files whether they really differ."""
    from measure.commands import compare_runs  # noqa: PLC0415 - as above

    compare_runs(first, second, out)


@app.command("agent")
def agent_command(  # noqa: PLR0913 - as above
    *,
    state_dir: Annotated[Path | None, typer.Option(help="State directory of this device, which has joined.")] = None,
    send: Annotated[
        list[Path] | None, typer.Option(help="Send these results (JSON) instead of measuring now (repeatable).")
    ] = None,
    experiments: Annotated[int, typer.Option(help="Repetitions; the paper has 100.", min=2)] = 100,
    probe: ProbeName = "auto",
    meter: MeterFile = None,
    meter_offset_s: MeterOffset = 0.0,
    meter_step_s: MeterStep = 1.0,
    busy_core_w: BusyCore = None,
    busy_core_source: BusyCoreSource = "",
) -> None:
    """On a device: measure Table 2 here, and send the results to the group's master as signed records."""
    from measure.commands import send_as_agent  # noqa: PLC0415 - as above

    wishes = _wishes(probe, meter, meter_offset_s, meter_step_s, busy_core=(busy_core_w, busy_core_source))
    send_as_agent(state_dir, send or [], wishes, experiments)


@app.command("collect")
def collect_command(
    *, data_dir: Annotated[Path | None, typer.Option(help="The master's folder.")] = None, out: Out = DEFAULT_OUT
) -> None:
    """On the master's machine: one table with a column per device that has sent results."""
    from measure.commands import collect_runs  # noqa: PLC0415 - as above

    collect_runs(data_dir, out)


def _wishes(
    name: str, meter: Path | None, meter_offset_s: float, meter_step_s: float, *, busy_core: tuple[float | None, str]
) -> "ProbeWishes":
    from measure.probes.finding import ProbeWishes  # noqa: PLC0415 - as above

    return ProbeWishes(name, meter, meter_offset_s, meter_step_s, *busy_core)
