"""Connecting to the nodes of a chain by their URLs, and remembering which chain it is."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import ClientTimeout
from web3 import AsyncWeb3

from chain_gateway.config import GatewayConfig
from chain_gateway.endpoint import ChainMark, Endpoint, public_name
from chain_gateway.node_choice import NodeChoice
from chain_gateway.node_provider import NodeProvider
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, RegistryUnavailable
from system_ports.private_files import replace_private_file

MARK_FILE = "chain.json"


async def open_node_choice(config: GatewayConfig, stack: AsyncExitStack, *, may_be_away: bool) -> NodeChoice:
    """The nodes of ``config.url`` and ``config.further_urls``, of which one answers.

    Args:
        config: URLs, times.
        stack: Closes it all.
        may_be_away: If no node answers but the chain is known from before, go on without.

    Raises:
        ConfigurationError: A URL is none, or every node that answers is of another chain.
        RegistryUnavailable: No node answers.
    """
    path = config.directory / MARK_FILE
    known = await asyncio.to_thread(_read_mark, path)
    choice = NodeChoice([_connect(config, url, stack) for url in (config.url or "", *config.further_urls)], known)
    stack.push_async_callback(choice.close)
    try:
        await choice.open()
    except RegistryUnavailable:
        if known is None or not may_be_away:
            raise
    if choice.mark is not None and known is None:
        await asyncio.to_thread(_write_mark, path, choice.mark)
    return choice


def require_urls(config: GatewayConfig) -> None:
    """Raises ConfigurationError if one of the nodes' URLs is none."""
    for url in (config.url or "", *config.further_urls):
        if urlsplit(url).scheme not in ("http", "https"):
            raise ConfigurationError(
                "the chain's URL is no http or https URL",
                remedy="For instance http://127.0.0.1:8545",
                code=ErrorCode.SETTING_WRONG,
            )


def _connect(config: GatewayConfig, url: str, stack: AsyncExitStack) -> Endpoint:
    timeout = ClientTimeout(total=config.request_timeout_s)
    # No retries in there: what may be asked again, and when, is decided by those who ask.
    provider = NodeProvider(url, {"timeout": timeout}, exception_retry_configuration=None)
    stack.push_async_callback(provider.disconnect)
    return Endpoint(
        AsyncWeb3(provider),
        public_name(url),
        request_timeout_s=config.request_timeout_s,
        requests_at_once=config.requests_at_once,
    )


def _read_mark(path: Path) -> ChainMark | None:
    try:
        fields = json.loads(path.read_text("utf-8"))
        return ChainMark(int(fields["chain_id"]), bytes.fromhex(fields["genesis_hash"].removeprefix("0x")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ConfigurationError(
            f"{path} does not name a chain: {exc}",
            remedy="Move it away; the chain is asked again.",
            code=ErrorCode.CHAIN_FILE_DAMAGED,
        ) from exc


def _write_mark(path: Path, mark: ChainMark) -> None:
    fields = {"chain_id": mark.chain_id, "genesis_hash": f"0x{mark.genesis_hash.hex()}"}
    replace_private_file(path, json.dumps(fields, indent=2).encode("ascii") + b"\n")
