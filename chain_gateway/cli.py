"""``vgroup chain``: deploy the contract, and look at the chain."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Annotated

import typer

from chain_gateway.composition import (
    EMBEDDED_DIRECTORY,
    Connection,
    deploy,
    follow_contract,
    known_deployment,
    open_connection,
    require_same_chain,
)
from chain_gateway.config import GATEWAY_FOLDER, GatewayConfig
from chain_gateway.network.cli import Directory, add_network_commands, network_directory, show_network_status
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from group_protocol.membership import ObjectState

EMBEDDED = "embedded"
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
add_network_commands(app)

_Chain = Annotated[str, typer.Option("--chain", help="'embedded', or the URL of a node's JSON-RPC.")]
_Folder = Annotated[
    Path | None, typer.Option("--data-dir", help="The master's data folder; the chain's files are in its 'gateway'.")
]
_KeyFile = Annotated[
    Path | None,
    typer.Option("--key-file", help="Private key of the account that pays, for a chain by URL (mode 0600)."),
]
_AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Facts = dict[str, str | int | None]


@app.command("deploy")
def deploy_command(
    *, chain: _Chain = EMBEDDED, data_dir: _Folder = None, key_file: _KeyFile = None, as_json: _AsJson = False
) -> None:
    """Deploy the contract, once, and remember where it stands."""
    deployment, gas = asyncio.run(deploy(_config(chain, data_dir, key_file), time.time))
    _print(
        {
            "chain_id": deployment.identity.chain_id,
            "contract": f"0x{deployment.identity.contract.hex()}",
            "block": deployment.block_number,
            "gas": gas,
        },
        as_json=as_json,
    )


@app.command("status")
def status_command(
    *,
    directory: Directory = None,
    chain: _Chain = EMBEDDED,
    data_dir: _Folder = None,
    key_file: _KeyFile = None,
    as_json: _AsJson = False,
) -> None:
    """Show the chain, the contract, and how many groups and devices it holds; with --dir, how a network's nodes are."""
    if directory is not None:
        show_network_status(network_directory(directory), as_json=as_json)
        return
    _print(asyncio.run(_fetch_status(_config(chain, data_dir, key_file))), as_json=as_json)


def _config(chain: str, data_dir: Path | None, key_file: Path | None) -> GatewayConfig:
    folder = (data_dir or _default_data_dir()).expanduser().absolute() / GATEWAY_FOLDER
    return GatewayConfig(folder, url=None if chain == EMBEDDED else chain, relayer_key_file=key_file)


def _default_data_dir() -> Path:
    """The master's: ``$VGROUP_MASTER_DIR``, else ``vgroup/master`` in the XDG data folder."""
    data_home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(os.environ.get("VGROUP_MASTER_DIR") or f"{data_home}/vgroup/master")


async def _fetch_status(config: GatewayConfig) -> _Facts:
    if config.url is None and not await asyncio.to_thread((config.directory / EMBEDDED_DIRECTORY).exists):
        raise ConfigurationError(
            f"there is no chain in {config.directory} yet",
            remedy="Run `vgroup chain deploy`.",
            code=ErrorCode.CONTRACT_NOT_DEPLOYED,
        )
    async with open_connection(config, time.time) as connection:
        facts = await _fetch_chain_facts(connection)
        deployment = known_deployment(config)
        if deployment is None:
            return facts | {"contract": None}
        async with follow_contract(config, connection, require_same_chain(deployment, connection)) as registry:
            membership = registry.membership()
        states = [view.state for view in membership.objects.values()]
        return facts | {
            "contract": f"0x{deployment.identity.contract.hex()}",
            "contract_block": deployment.block_number,
            "groups": len(membership.groups),
            "slaves": states.count(ObjectState.SLAVE),
            "revoked": states.count(ObjectState.REVOKED),
        }


async def _fetch_chain_facts(connection: Connection) -> _Facts:
    head = await connection.node.fetch_head()
    relayer = connection.sender.address
    return {
        "chain_id": connection.chain_id,
        "block": head.number,
        "block_time_unix_s": head.timestamp_unix_s,
        "relayer": f"0x{relayer.hex()}",
        "relayer_balance_wei": await connection.node.fetch_balance_wei(relayer),
    }


def _print(facts: _Facts, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        typer.echo(f"{name.replace('_', ' '):{width}}  {'none' if value is None else value}")
