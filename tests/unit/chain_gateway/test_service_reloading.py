"""What a gateway takes from changed settings while it runs."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from chain_gateway.service.config import ServiceConfig
from chain_gateway.service.handlers import Handlers
from chain_gateway.service.reloading import Reloader
from system_ports.service_notify import ServiceNotifier


class Limited:
    """Handlers, as far as a reload knows them."""

    def __init__(self) -> None:
        self.rates: list[float] = []

    def limit_rates(self, config: ServiceConfig) -> None:
        self.rates.append(config.requests_per_s)


async def test_setting_that_needs_a_restart_is_named_at_each_reload_and_not_taken(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chain_gateway.service.reloading.configure_logs", lambda *_: None)
    held = ServiceConfig(Path("gateway"))
    wanted = [replace(held, acts_max=held.acts_max + 1), replace(held, acts_max=held.acts_max + 1, requests_per_s=7.0)]
    handlers = Limited()
    reloader = Reloader(held, cast("Handlers", handlers), ServiceNotifier.from_environment(), iter(wanted).__next__)

    with caplog.at_level(logging.INFO, "vgroup.gateway"):
        await reloader.reload()
        await reloader.reload()

    told: list[dict[str, Any]] = [vars(record)["fields"] for record in caplog.records]
    assert told == [
        {"changed": "", "need_restart": "acts_max"},
        {"changed": "requests_per_s", "need_restart": "acts_max"},
    ]
    assert handlers.rates == [7.0]
