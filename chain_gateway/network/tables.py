"""A network's health as a table for a terminal."""

from rich.table import Table

from chain_gateway.network.health import NetworkHealth, NodeHealth


def health_table(health: NetworkHealth) -> Table:
    """One row for each node."""
    title = f"Chain {health.chain_id}, a block each {health.period_s} s, height {_text(health.height)}"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    table.add_column("Node")
    table.add_column("JSON-RPC", overflow="fold")
    for heading in ("Pid", "Height", "Lag", "Age s", "Peers"):
        table.add_column(heading, justify="right")
    table.add_column("Signer")
    for node in health.nodes:
        table.add_row(*_row(node), style=None if node.height is not None else "red")
    return table


def _row(node: NodeHealth) -> list[str]:
    role = "" if node.is_signer is None else _role(node)
    numbers = (node.pid, node.height, node.lag_blocks, node.head_age_s, node.peers)
    return [node.name, node.url, *map(_text, numbers), role or "down"]


def _role(node: NodeHealth) -> str:
    signers = len(node.signers or ())
    return f"1 of {signers}" if node.is_signer else f"no ({signers} others)"


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value}"
