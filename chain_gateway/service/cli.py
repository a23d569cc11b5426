"""``vgroup gateway``: set a gateway up for masters on other machines, and run it."""

import asyncio
import secrets
from pathlib import Path
from typing import Annotated

import typer

from chain_gateway.config import GATEWAY_FOLDER
from chain_gateway.service.callers import add_caller, read_callers, remove_caller
from chain_gateway.service.config import ServiceConfig
from chain_gateway.service.config_sources import load_config
from group_protocol.crypto.keys import PrivateKey
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError
from system_ports.private_files import replace_private_file

gateway_app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
RELAYER_KEY_FILE = "relayer.key"
TOKEN_FILE = "token"  # noqa: S105 - the name of a file

_DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="The gateway's folder. Default: $VGROUP_GATEWAY_DIR or ~/.local/share/vgroup/gateway."
    ),
]


@gateway_app.command("init")
def init_command(*, data_dir: _DataDir = None) -> None:
    """Make the gateway's folder and the key of the account that pays, and say what comes next."""
    config = load_config(data_dir)
    folder = config.data_dir / GATEWAY_FOLDER
    for each in (config.data_dir, folder):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / RELAYER_KEY_FILE
    if path.exists():
        raise ConfigurationError(
            f"{path} exists already", remedy="Move it away first to make another account.", code=ErrorCode.FILE_EXISTS
        )
    key = PrivateKey.from_secret(secrets.token_bytes(32))
    replace_private_file(path, key.secret.hex().encode("ascii") + b"\n")
    typer.echo(f"data dir  {config.data_dir}")
    typer.echo(f"relayer   0x{key.address.hex()} (pays on a chain by URL; the embedded one has its own)")
    typer.echo("Next: vgroup gateway authorize ADDRESS, with the address that `vgroup master init` showed; then")
    typer.echo("      vgroup gateway run --host 0.0.0.0")
    typer.echo("On a chain by URL: give the relayer ether if gas costs some there, and run")
    typer.echo(f"      vgroup chain deploy --chain URL --data-dir {config.data_dir}")


@gateway_app.command("authorize")
def authorize_command(
    address: Annotated[str, typer.Argument(help="Address of a master's key: 0x and 40 hex digits.")],
    *,
    name: Annotated[str, typer.Option(help="What the log calls it.")] = "",
    data_dir: _DataDir = None,
) -> None:
    """Let a master's key ask. A running gateway notices."""
    caller = add_caller(_callers_file(load_config(data_dir)), address, name)
    typer.echo(f"0x{caller.hex()} may ask")


@gateway_app.command("forbid")
def forbid_command(
    address: Annotated[str, typer.Argument(help="Address of a master's key.")], *, data_dir: _DataDir = None
) -> None:
    """Let a key ask no more. A running gateway notices."""
    caller = remove_caller(_callers_file(load_config(data_dir)), address)
    typer.echo(f"0x{caller.hex()} may ask no more")


@gateway_app.command("callers")
def callers_command(*, data_dir: _DataDir = None) -> None:
    """List the keys that may ask."""
    for address, name in read_callers(load_config(data_dir).resolved_callers_file).items():
        typer.echo(f"0x{address.hex()}  {name}")


@gateway_app.command("token")
def token_command(*, data_dir: _DataDir = None) -> None:
    """Make a token, for callers that cannot sign; any earlier one ends with the next start of the gateway."""
    config = load_config(data_dir)
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path, token = config.data_dir / TOKEN_FILE, secrets.token_urlsafe(32)
    replace_private_file(path, token.encode("ascii") + b"\n")
    typer.echo(token)
    typer.echo(f'Put token_file = "{path}" into gateway.toml, and the token into a file of mode 0600 at the master.')


@gateway_app.command("run")
def run_command(
    *,
    data_dir: _DataDir = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 for any.", min=0, max=65_535)] = None,
    chain: Annotated[str | None, typer.Option(help="'embedded', or the URL of a node's JSON-RPC.")] = None,
    contract: Annotated[str | None, typer.Option(help="Contract address, for a chain by URL.")] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = None,
    ready_file: Annotated[Path | None, typer.Option(help="Write the ready line here too, once it listens.")] = None,
) -> None:
    """Serve the register to masters on other machines until Ctrl-C or SIGTERM."""
    options = {"host": host, "port": port, "chain": chain, "contract": contract, "log_level": log_level}
    from chain_gateway.service.server import run_service  # noqa: PLC0415 - the chain takes a second to import

    def read_config() -> ServiceConfig:
        return load_config(data_dir, options=options)

    asyncio.run(run_service(read_config(), ready_file=ready_file, read_config=read_config))


def _callers_file(config: ServiceConfig) -> Path:
    config.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    return config.resolved_callers_file
