"""Numbers for Prometheus: ``GET /metrics`` on an address of its own, never on the public port.

Whoever reaches the address may read: counts and states, no names, no keys, no ids.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError

Collect = Callable[[], Awaitable[Iterable[Metric]]]
"""What a program has to say of itself, asked at each scrape."""

_log = logging.getLogger("vgroup.metrics")


def gauge(name: str, meaning: str, value: float) -> Metric:
    """One number that goes up and down. ``name`` is without the prefix ``vgroup_``."""
    return GaugeMetricFamily(f"vgroup_{name}", meaning, value=value)


def counter(name: str, meaning: str, value: float) -> Metric:
    """One number that only rises while the program runs; Prometheus sees it as ``vgroup_NAME_total``."""
    return CounterMetricFamily(f"vgroup_{name}", meaning, value=value)


def gauges(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    """A number for each value of a label."""
    family = GaugeMetricFamily(f"vgroup_{name}", meaning, labels=[label])
    for value in sorted(values):
        family.add_metric([value], values[value])
    return family


def counters(name: str, meaning: str, label: str, values: Mapping[str, float]) -> Metric:
    """A rising number for each value of a label."""
    family = CounterMetricFamily(f"vgroup_{name}", meaning, labels=[label])
    for value in sorted(values):
        family.add_metric([value], values[value])
    return family


def build(program: str, version: str) -> Metric:
    """Which program this is."""
    return InfoMetricFamily("vgroup_build", "The program and its version.", {"program": program, "version": version})


@asynccontextmanager
async def metrics_endpoint(listen: str, collect: Collect) -> AsyncIterator[int | None]:
    """Answer scrapes as long as the context lasts; yields the port.

    Args:
        listen: ``HOST:PORT`` (an IPv6 host in brackets; port 0 lets the system choose), or empty: none, and None.
        collect: Asked at each scrape.

    Raises:
        ConfigurationError: ``listen`` is no address, or cannot be listened on.
    """
    if not listen:
        yield None
        return
    host, port = parse_listen(listen)
    runner = web.ServerRunner(web.Server(_Answering(collect).answer))
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, reuse_address=True).start()
        except OSError as exc:
            raise ConfigurationError(
                f"cannot listen on {listen} for metrics: {exc.strerror}",
                remedy="Choose another address for `metrics`, or leave it empty.",
                code=ErrorCode.PORT_IN_USE,
            ) from exc
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def parse_listen(listen: str) -> tuple[str, int]:
    """Host and port. Raises ConfigurationError."""
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
        raise ConfigurationError(
            f"metrics = {listen!r} is no HOST:PORT", remedy="For example 127.0.0.1:9465.", code=ErrorCode.SETTING_WRONG
        )
    return host, int(port)


class _Collected(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


class _Answering:
    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "GET" or request.path != "/metrics":
            return web.Response(status=404, text="GET /metrics\n")
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        try:
            registry.register(_Collected(list(await self._collect())))
        except Exception:
            _log.exception("the metrics could not be collected")
            raise
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
