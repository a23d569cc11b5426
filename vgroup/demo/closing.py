"""The last screen: what it all came to."""

from rich.table import Table
from rich.text import Text

from vgroup.demo.screen import Screen
from vgroup.demo.summary import GasUse, SlaveSummary, Summary


def show_summary(screen: Screen, summary: Summary) -> None:
    """Show the summary and, last, whether everything held."""
    screen.heading("Summary")
    screen.show(_slaves_table(summary.slaves))
    screen.line("")
    for name, text in _facts(summary):
        screen.fact(name, text)
    screen.line("")
    failures = summary.failures
    claims = len(summary.attacks) + len(summary.checks)
    if not failures:
        screen.line(f"  [bold green]All {claims} claims held.[/bold green]")
        return
    screen.line(f"  [bold red]{len(failures)} of {claims} claims did not hold:[/bold red]")
    for failure in failures:
        screen.failed(failure)


def _slaves_table(slaves: list[SlaveSummary]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("  Slave", no_wrap=True)
    table.add_column("Recording", no_wrap=True)
    for header in ("Join ms", "Bytes", "Records", "Samples"):
        table.add_column(header, justify="right", no_wrap=True)
    for slave in slaves:
        join = slave.join
        table.add_row(
            Text(f"  {slave.name}, revoked", style="red") if slave.is_revoked else f"  {slave.name}",
            slave.recording,
            f"{join.total_ms:.0f} = {join.slave_ms:.0f} + {join.master_ms:.0f} + {join.chain_ms:.0f}",
            f"{join.wire_bytes:,}",
            f"{slave.records_stored:,}",
            f"{slave.readings_stored:,}",
        )
    return table


def _facts(summary: Summary) -> list[tuple[str, str]]:
    slaves = summary.slaves
    sent, stored = sum(slave.records_sent for slave in slaves), sum(slave.records_stored for slave in slaves)
    kept_back = sum(slave.records_sent - slave.records_stored for slave in slaves if slave.is_revoked)
    after = f" (not taken: {kept_back} of the revoked slave)" if kept_back else ""
    refused = sum(attack.is_refused for attack in summary.attacks)
    held = sum(check.holds for check in summary.checks)
    samples = sum(slave.readings_stored for slave in slaves)
    return [
        ("Join", "M1 to M6; milliseconds = slave + master + chain; bytes with HTTP, both ways"),
        ("Records", f"{sent:,} made, {stored:,} stored{after}"),
        ("Samples", f"{samples:,} stored, each compared with its recording"),
        ("Gas", _gas_text(summary.gas) if summary.gas else "unknown"),
        ("Attacks", f"{len(summary.attacks)} tried, {refused} refused"),
        ("Checks", f"{len(summary.checks)} made, {held} held"),
        ("Wall time", f"{summary.wall_s:.1f} s, {summary.streamed_s:.1f} s of it streaming"),
    ]


def _gas_text(gas: GasUse) -> str:
    each = sum(gas.associations) // len(gas.associations)
    return (
        f"{each:,} an association ({len(gas.associations)}), {gas.group_creation:,} the group,"
        f" {gas.revocation:,} the revocation, {gas.deployment:,} the contract"
    )
