"""What the slave tells Prometheus (``docs/metrics.md``)."""

from collections.abc import Iterable
from importlib.metadata import version

from prometheus_client.core import Metric

from slave_client.daemon import Daemon
from slave_client.states import State
from system_ports.metrics import build, counter, gauge, gauges


class SlaveMetrics:
    """Collects at each scrape, from memory alone."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    async def collect(self) -> Iterable[Metric]:
        """Everything."""
        board, fill = self._daemon.board, self._daemon.fill()
        families = [
            build("slave", version("vgroup")),
            gauges("state", "1: what the daemon is doing.", "state",
                   {state.value: float(state is board.state) for state in State}),
            counter("sessions", "Sessions since the start.", board.sessions),
            gauge("buffer_records", "Records that the master has not acknowledged.", fill.records),
            gauge("buffer_bytes", "Bytes that they take on the disk.", fill.stored_bytes),
            gauge("buffer_max_bytes", "Bytes that they may take.", fill.max_bytes),
            gauge("buffer_oldest_age_seconds", "How long the oldest of them has waited.", fill.oldest_age_s or 0.0),
            gauge("buffer_dropped_records", "Records lost by the buffer's bounds, since the device was made.",
                  fill.dropped_records),
            gauge("buffer_set_aside_records", "Records that the master refused for good.", fill.set_aside_records),
            gauge("buffer_unreadable_records", "Records that damage took.", fill.unreadable_records),
            gauges("sensor_readings", "Readings of each sensor since the start.", "sensor",
                   {sensor.label: float(sensor.readings) for sensor in board.sensors}),
            gauges("sensor_running", "1: the sensor gives readings.", "sensor",
                   {sensor.label: float(sensor.state == "running") for sensor in board.sensors}),
        ]  # fmt: skip
        if board.last_ack is not None and board.last_ack_unix_s is not None:
            families.append(gauge("last_ack_seq", "The last record that the master has.", board.last_ack.last_seq))
            families.append(gauge("last_ack_time_seconds", "When the master last said so, unix time.",
                                  board.last_ack_unix_s))  # fmt: skip
        return families
