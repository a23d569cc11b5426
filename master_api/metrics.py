"""What the master tells Prometheus (``docs/metrics.md``)."""

from collections.abc import Iterable
from importlib.metadata import version

from prometheus_client.core import Metric
from sqlalchemy import Connection, func, select

from group_protocol.errors import StoreError
from group_protocol.tickets import MembershipState
from master_api.context import MasterContext
from master_api.health import HealthCheck, is_well
from master_api.intake_counts import IntakeCounts
from master_api.store import schema
from system_ports.metrics import build, counter, counters, gauge, gauges


class MasterMetrics:
    """Collects at each scrape: memory, and one query of the store."""

    def __init__(self, context: MasterContext, health: HealthCheck, taken: IntakeCounts) -> None:
        self._context = context
        self._health = health
        self._taken = taken

    async def collect(self) -> Iterable[Metric]:
        """Everything."""
        context, taken = self._context, self._taken
        parts = (await self._health.check()).parts
        live = list(context.live)
        families = [
            build("master", version("vgroup")),
            gauges("health", "1: this part works. 0: /healthz says what is wrong.", "part",
                   {part: float(is_well(state)) for part, state in parts.items()}),
            gauge("sessions", "Devices with a session.", len(live)),
            gauge("streams", "Devices with an open stream.", sum(one.stream is not None for one in live)),
            gauge("half_open_exchanges", "Key exchanges that wait for M3.", len(context.half_open)),
            gauge("devices_disputed", "Devices shut out by the register's word alone: vgroup device list names them.",
                  len(context.disputes.open)),
            gauge("chain_away_seconds", "Since when the chain has not answered; 0 while it does.",
                  context.watch.away_s),
            gauge("records_refused_for_chain", "1: records are refused, since the chain was away too long.",
                  float(context.watch.refuses_records)),
            counter("records_committed", "Records committed to the store.", taken.records),
            counter("checkpoints_committed", "Checkpoints committed to the store.", taken.checkpoints),
            counters("records_refused", "Frames of proven devices with an item that was refused, by reason.", "reason",
                     taken.refusals),
            counters("peers_refused", "Requests that got the uniform refusal, by cause.", "cause",
                     context.refusals.totals),
        ]  # fmt: skip
        if context.group.formed is not None:
            families.append(gauge("group_epoch", "The group's epoch.", context.group.view().epoch))
        try:
            devices, messages = await context.store.read(_count)
        except StoreError:
            return families  # health says it
        families.append(gauges("devices", "Enrolled devices, by state.", "state", devices))
        families.append(gauge("peer_messages_waiting", "Messages from slave to slave that wait.", messages))
        return families


def _count(connection: Connection) -> tuple[dict[str, float], int]:
    table = schema.devices
    rows = connection.execute(select(table.c.state, func.count()).group_by(table.c.state))
    devices = dict.fromkeys((state.name for state in MembershipState), 0.0)
    devices |= {MembershipState(state).name: float(count) for state, count in rows}
    messages = connection.execute(select(func.count()).select_from(schema.peer_queue)).scalar_one()
    return devices, int(messages)
