"""``vgroup chain up``, ``down``, ``status --dir``: the commands of a network in a folder."""

import hashlib
import itertools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from chain_gateway.network.cards import MemberCard, compose, make_member
from chain_gateway.network.errors import NetworkFolderRefused
from chain_gateway.network.genesis import CHAIN_ID, PERIOD_S
from chain_gateway.network.geth import find_geth
from chain_gateway.network.health import NetworkHealth
from chain_gateway.network.layout import CARD_FILE, NetworkLayout, is_network
from chain_gateway.network.lifecycle import HTTP_PORT, LOOPBACK, P2P_PORT, ChainNetwork, NewNetwork, Tell
from chain_gateway.network.node_files import write_start_files
from chain_gateway.network.signers import add_signer, fetch_signers, propose, remove_signer
from chain_gateway.network.tables import health_table
from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, DecodingError
from group_protocol.exit_codes import ExitCode
from group_protocol.identifiers import Address, parse_address
from system_ports.randomness import SystemRandom

SIGNERS: Final = 3

Directory = Annotated[
    Path | None,
    typer.Option(
        "--dir", help="The network's folder. Else $VGROUP_CHAIN_DIR, else vgroup/chain in the XDG data folder."
    ),
]
GethPath = Annotated[
    Path | None, typer.Option("--geth", help="geth 1.13.15. Else $VGROUP_GETH, `make geth`'s, or the one on PATH.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Nodes = Annotated[list[str] | None, typer.Option("--node", help="Only this node; may be repeated.")]
Verbosity = Annotated[int, typer.Option(min=0, max=5, help="What nodes log: 1 errors, 2 warnings, 3 each block.")]

_Signers = Annotated[int | None, typer.Option(min=1, max=99, help=f"New network: nodes that seal [{SIGNERS}].")]
_Period = Annotated[int | None, typer.Option(min=1, help=f"New network: seconds from block to block [{PERIOD_S}].")]
_ChainId = Annotated[int | None, typer.Option(min=1, help=f"New network: EIP-155 chain id [{CHAIN_ID}].")]
_Relayers = Annotated[int, typer.Option(min=1, max=99, help="New network: accounts with ether.")]
_HttpHost = Annotated[str, typer.Option(help="New network: address of every node's JSON-RPC.")]
_HttpPort = Annotated[int, typer.Option(min=0, help="New network: JSON-RPC of the first node; 0: any ports.")]
_P2pHost = Annotated[list[str] | None, typer.Option(help="New network: address for peers; one for all, or one each.")]
_P2pPort = Annotated[int, typer.Option(min=0, help="New network: port for peers of the first node; 0: any ports.")]


def add_network_commands(app: typer.Typer) -> None:
    """Put the commands into ``vgroup chain``."""
    app.command("up")(up_command)
    app.command("down")(down_command)
    app.command("mend")(mend_command)
    app.command("add-signer")(add_signer_command)
    app.command("remove-signer")(remove_signer_command)
    app.command("vote")(vote_command)
    app.command("make-node")(make_node_command)
    app.command("compose")(compose_command)


def up_command(  # noqa: PLR0913 - one for each option
    *,
    directory: Directory = None,
    signers: _Signers = None,
    period: _Period = None,
    chain_id: _ChainId = None,
    relayers: _Relayers = 4,
    http_host: _HttpHost = LOOPBACK,
    http_port: _HttpPort = HTTP_PORT,
    p2p_host: _P2pHost = None,
    p2p_port: _P2pPort = P2P_PORT,
    node: Nodes = None,
    geth: GethPath = None,
    verbosity: Verbosity = 2,
    as_json: AsJson = False,
) -> None:
    """Make a network of geth nodes on this machine, or start what of it is down."""
    folder = network_directory(directory)
    program = find_geth(geth)
    with progress() as tell:
        if is_network(folder):
            network = ChainNetwork.open(folder)
            _require_same(network.layout, signers=signers, period=period, chain_id=chain_id)
        else:
            tell("making keys and genesis")
            wanted = NewNetwork(
                signers=signers or SIGNERS,
                relayers=relayers,
                chain_id=chain_id or CHAIN_ID,
                period_s=period or PERIOD_S,
                p2p_hosts=tuple(p2p_host or (LOOPBACK,)),
                http_host=http_host,
                http_port=http_port,
                p2p_port=p2p_port,
            )
            network = ChainNetwork.create(folder, wanted)
        network.start(program, names=node or (), verbosity=verbosity, tell=tell)
        health = network.health() if node else network.wait_until_well(tell=tell)
    show_health(network.layout, health, as_json=as_json)
    if not as_json:
        _say_what_next(network.layout)


def down_command(*, directory: Directory = None, node: Nodes = None) -> None:
    """Stop the nodes. Nothing is lost: `up` goes on where they were."""
    network = ChainNetwork.open(network_directory(directory))
    with progress() as tell:
        tell("waiting for the nodes to close their databases")
        killed = network.stop(node or ())
    for name in killed:
        typer.echo(f"{name} did not stop in time and was killed.", err=True)
    typer.echo("The network is down." if not node else f"Down: {', '.join(node)}.")


def mend_command(*, directory: Directory = None) -> None:
    """Wait for a new block; signers that stand although they see each other are set going again."""
    with progress() as tell:
        health = ChainNetwork.open(network_directory(directory)).wait_for_block(tell=tell)
    typer.echo(f"The chain goes on: block {health.height}.")


def add_signer_command(
    *,
    directory: Directory = None,
    name: Annotated[str | None, typer.Option(help="The node's name. Else node-N with the next number.")] = None,
    geth: GethPath = None,
    verbosity: Verbosity = 2,
    as_json: AsJson = False,
) -> None:
    """Make one more node here, have the signers vote for it, and wait until it seals."""
    network = ChainNetwork.open(network_directory(directory))
    program = find_geth(geth)
    with progress() as tell:
        chosen = name or next_name(network.layout)
        network = add_signer(network, chosen, program, verbosity=verbosity, tell=tell)
        health = network.health()
    show_health(network.layout, health, as_json=as_json)


def remove_signer_command(
    *, directory: Directory = None, name: Annotated[str, typer.Argument(help="The node's name.")]
) -> None:
    """Have the signers vote a node out, stop it, and forget it. Its folder stays."""
    network = ChainNetwork.open(network_directory(directory))
    with progress() as tell:
        remove_signer(network, name, tell=tell)
    typer.echo(
        f"{name} is no signer any more and was stopped. Its keys are still in {network.layout.directory / name}."
    )


def make_node_command(
    *,
    directory: Directory = None,
    name: Annotated[str, typer.Option(help="The node's name; no other machine's may be called so.")],
    p2p_host: Annotated[str, typer.Option(help="This machine's address, as the others reach it.")],
    p2p_port: Annotated[int, typer.Option(min=1, help="Port for peers.")] = P2P_PORT,
    http_host: Annotated[str, typer.Option(help="Address of the node's JSON-RPC.")] = LOOPBACK,
    http_port: Annotated[int, typer.Option(min=1, help="Port of the node's JSON-RPC.")] = HTTP_PORT,
) -> None:
    """Make this machine's node of a network over several machines: its keys, and a card for the others."""
    folder = network_directory(directory)
    card = make_member(folder, name, p2p=(p2p_host, p2p_port), http=(http_host, http_port), random=SystemRandom())
    typer.echo(json.dumps(card.to_json(), indent=2))
    typer.echo(f"Give {folder / name / CARD_FILE} to the other machines; it holds no secret.", err=True)


def compose_command(
    *,
    directory: Directory = None,
    cards: Annotated[list[Path], typer.Argument(help="The cards of all nodes, this machine's too.")],
    period: Annotated[int, typer.Option(min=1, help="Seconds from block to block; the same everywhere.")] = PERIOD_S,
    chain_id: Annotated[int, typer.Option(min=1, help="EIP-155 chain id; the same everywhere.")] = CHAIN_ID,
    geth: GethPath = None,
    verbosity: Verbosity = 3,
) -> None:
    """Make the network out of everybody's cards: genesis, and this machine's start script."""
    network = compose(network_directory(directory), [MemberCard.read(path) for path in cards],
                      chain_id=chain_id, period_s=period)  # fmt: skip
    layout = network.layout
    for card in layout.nodes_here:
        write_start_files(layout, card, find_geth(geth), verbosity)
        typer.echo(f"{layout.folder(card).start_script}")
    digest = hashlib.sha256(layout.genesis.read_bytes()).hexdigest()
    typer.echo(f"SHA-256 of {layout.genesis}: {digest}; it has to be the same on every machine.", err=True)


def vote_command(
    *,
    directory: Directory = None,
    account: Annotated[str, typer.Argument(help="Account of a node on another machine, as 0x and 40 hex digits.")],
    is_let_in: Annotated[bool, typer.Option("--in/--out", help="Whether it may seal.")] = True,
) -> None:
    """Have the signers here vote for or against an account; more than half of all signers have to."""
    layout = ChainNetwork.open(network_directory(directory)).layout
    voters = propose(layout, parse_account(account), is_let_in=is_let_in)
    typer.echo(f"{voters} nodes vote {'for' if is_let_in else 'against'} {account} in the next block that each seals.")
    typer.echo("The vote is forgotten when a node restarts. See it through: vgroup chain status --dir … --json")


def parse_account(text: str) -> Address:
    """An account from the command line. Raises ConfigurationError."""
    try:
        return parse_address(bytes.fromhex(text.removeprefix("0x")))
    except (ValueError, DecodingError) as exc:
        raise ConfigurationError(
            f"{text!r} is no account", remedy="It is 0x and 40 hex digits.", code=ErrorCode.ARGUMENT_WRONG
        ) from exc


def next_name(layout: NetworkLayout) -> str:
    """node-N: a node that was made and is no signer yet, or else the lowest number that neither node nor folder has."""
    signers = fetch_signers(layout)
    unfinished = next((card.name for card in layout.nodes if card.account not in signers), None)
    numbers = (f"node-{number}" for number in itertools.count(1))
    return unfinished or next(name for name in numbers if not (layout.directory / name).exists())


def show_network_status(directory: Path, *, as_json: bool) -> None:
    """Print how a network is; exit with 1 if something is not well."""
    network = ChainNetwork.open(directory)
    health = network.health()
    show_health(network.layout, health, as_json=as_json)
    if not health.is_well:
        raise typer.Exit(ExitCode.CHECK_FAILED)


def show_health(layout: NetworkLayout, health: NetworkHealth, *, as_json: bool) -> None:
    """The table, or JSON, on standard output."""
    if as_json:
        typer.echo(json.dumps(health.to_json() | {"relayer_keys": relayer_keys(layout)}, indent=2))
        return
    console = Console(highlight=False)
    console.print(health_table(health))
    for problem in health.problems:
        console.print(f"[red]✗[/] {problem}")


def relayer_keys(layout: NetworkLayout) -> list[str]:
    """Key files of the accounts that have ether."""
    return [str(layout.relayer_key(index)) for index in range(len(layout.relayers))]


def network_directory(named: Path | None) -> Path:
    """The folder that a command means."""
    data_home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    chosen = named or Path(os.environ.get("VGROUP_CHAIN_DIR") or f"{data_home}/vgroup/chain")
    return chosen.expanduser().absolute()


@contextmanager
def progress() -> Iterator[Tell]:
    """A line on standard error that says what is being waited for; on anything but a terminal, nothing."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("") as status:
        yield status.update


def _require_same(layout: NetworkLayout, **wanted: int | None) -> None:
    """What was fixed at creation and is asked for again must be as it was."""
    found = {"signers": layout.first_signers, "period": layout.period_s, "chain_id": layout.chain_id}
    for name, value in wanted.items():
        if value not in (None, found[name]):
            option = f"--{name.replace('_', '-')}"
            raise NetworkFolderRefused(
                f"the network in {layout.directory} was made with {option} {found[name]}, not {value}",
                remedy="Leave the option out to start it, or name another folder with --dir.",
            )


def _say_what_next(layout: NetworkLayout) -> None:
    url, key = layout.nodes[0].url, layout.relayer_key(0)
    typer.echo(f"\nNext: vgroup chain deploy --chain {url} --key-file {key}")
    typer.echo(f'Then, in master.toml: chain = "{url}", relayer_key_file = "{key}"')
