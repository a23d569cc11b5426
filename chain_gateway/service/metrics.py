"""What the gateway's service tells Prometheus (``docs/metrics.md``)."""

import time
from collections.abc import Iterable
from importlib.metadata import version

from prometheus_client.core import Metric

from chain_gateway.service.backend import ChainBackend, is_well
from group_protocol.errors import VirtualGroupError
from system_ports.metrics import build, gauge, gauges


class GatewayMetrics:
    """Collects at each scrape; asks the chain for its head."""

    def __init__(self, backend: ChainBackend) -> None:
        self._backend = backend

    async def collect(self) -> Iterable[Metric]:
        """Everything."""
        now_unix_s = time.time()
        parts = await self._backend.describe(now_unix_s)
        families = [
            build("gateway", version("vgroup")),
            gauges("health", "1: this part works. 0: /healthz says what is wrong.", "part",
                   {part: float(is_well(state)) for part, state in parts.items()}),
            gauge("acts_waiting", "Acts on their way to the chain.", self._backend.web3_registry.waiting),
        ]  # fmt: skip
        try:
            head = await self._backend.chain.fetch_head()
        except VirtualGroupError:
            return families  # health says it
        families.append(gauge("chain_height", "Number of the newest block.", head.number))
        families.append(gauge("chain_head_age_seconds", "Age of the newest block.",
                              max(0.0, now_unix_s - head.timestamp_unix_s)))  # fmt: skip
        return families
