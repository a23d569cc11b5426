"""Making a node: its keys, its start script, its list of peers."""

import json
import os
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from eth_account import Account

from chain_gateway.network.errors import NetworkFolderRefused
from chain_gateway.network.layout import SOCKET_PATH_MAX_BYTES, NetworkLayout, NodeCard, NodeFolder
from group_protocol.crypto.keys import PrivateKey
from group_protocol.identifiers import Address
from group_protocol.ports import Random
from system_ports.private_files import replace_private_file

NODE_CACHE_MB: Final = 64
"""Memory that a node may use for its database's cache: three fit beside a master on a small machine."""

_LIGHT_SCRYPT_N: Final = 4_096
"""geth's own ``--lightkdf``. The password lies beside the keystore: a slow derivation would protect nothing."""

_POOL_SLOTS: Final = 4_096
"""Transactions that one account may have waiting in a pool: relayers are few and send much."""


def make_node_keys(folder: NodeFolder, random: Random) -> tuple[Address, bytes]:
    """Make a node's folder and the keys in it; the account's address, and the node's public key (64 bytes).

    Raises:
        NetworkFolderRefused: The folder exists and is not empty, or its path is too long for a Unix socket.
    """
    if len(os.fsencode(folder.socket)) > SOCKET_PATH_MAX_BYTES:
        raise NetworkFolderRefused(
            f"{folder.socket} is too long for a Unix socket", remedy="Choose a folder with a shorter path: --dir."
        )
    folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.path.iterdir()):
        raise NetworkFolderRefused(
            f"{folder.path} is not empty, and belongs to no node of this network", remedy="Move it away, and try again."
        )
    account_secret, node_secret = random.token_bytes(32), random.token_bytes(32)
    password = random.token_bytes(16).hex()
    _write_keystore(folder, account_secret, password)
    replace_private_file(folder.password, f"{password}\n".encode("ascii"))
    replace_private_file(folder.node_key, node_secret.hex().encode("ascii"))
    return PrivateKey.from_secret(account_secret).address, PrivateKey.from_secret(node_secret).public_key[1:]


def _write_keystore(folder: NodeFolder, secret: bytes, password: str) -> None:
    account = Account.from_key(secret)
    encrypted = Account.encrypt(secret, password, kdf="scrypt", iterations=_LIGHT_SCRYPT_N)
    folder.keystore.mkdir(mode=0o700)
    replace_private_file(folder.keystore / f"{account.address[2:].lower()}.json", json.dumps(encrypted).encode("ascii"))


def make_relayer_key(path: Path, random: Random) -> Address:
    """A key file as the gateway's ``relayer_key_file`` wants it; its address."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    key = random.token_bytes(32)
    replace_private_file(path, f"{key.hex()}\n".encode("ascii"))
    return PrivateKey.from_secret(key).address


def write_start_files(layout: NetworkLayout, card: NodeCard, geth: Path, verbosity: int) -> None:
    """Write a node's start script and its list of peers anew; what was changed in them by hand is gone."""
    folder = layout.folder(card)
    peers = [other.enode for other in layout.nodes if other.name != card.name]
    folder.peers_file.write_text(peers_file(card, peers), "utf-8")
    folder.start_script.write_text(start_script(layout, card, geth, verbosity), "utf-8")
    folder.start_script.chmod(0o700)


def peers_file(card: NodeCard, enodes: Iterable[str]) -> str:
    """Geth's configuration in TOML: what has no option on its command line."""
    lines = "".join(f'    "{enode}",\n' for enode in enodes)
    host = f"[{card.p2p_host}]" if ":" in card.p2p_host else card.p2p_host
    return f"""# Where this node listens for its peers, and the peers that it dials. Everything else is in start.sh.
[Node.P2P]
ListenAddr = "{host}:{card.p2p_port}"
StaticNodes = [
{lines}]
"""


def start_script(layout: NetworkLayout, card: NodeCard, geth: Path, verbosity: int) -> str:
    """A shell script that becomes the node. It finds its files beside itself, so that the folder may move."""
    options = node_options(layout.chain_id, card, verbosity)
    lines = " \\\n    ".join(shlex.join(option) for option in options)
    return f"""#!/bin/sh
# Starts {card.name} in the foreground. `vgroup chain up` writes this file, and writes it anew each time.
set -eu
cd "$(dirname "$0")"
geth="${{GETH:-{geth}}}"
# Harmless where it was done before; refuses a database of another genesis.
"$geth" --verbosity 1 init --datadir data ../genesis.json
exec "$geth" --config geth.toml --datadir data --keystore keystore --nodekey node.key --ipcpath "$PWD/geth.ipc" \\
    --mine --miner.etherbase 0x{card.account.hex()} --unlock 0x{card.account.hex()} --password password \\
    {lines} "$@"
"""


def node_options(chain_id: int, card: NodeCard, verbosity: int) -> list[list[str]]:
    """Geth's options, each with its arguments; ``docs/chain.md`` says why each is there."""
    return [
        ["--networkid", str(chain_id), "--syncmode", "full", "--gcmode", "archive", "--state.scheme", "hash"],
        ["--nodiscover", "--nat", "none"],
        ["--http", "--http.addr", card.http_host, "--http.port", str(card.http_port), "--http.api", "eth,net,web3"],
        ["--ws", "--ws.addr", card.http_host, "--ws.port", str(card.http_port), "--ws.api", "eth,net,web3"],
        ["--authrpc.port", "0", "--allow-insecure-unlock"],
        ["--miner.gasprice", "1", "--txpool.pricelimit", "1", "--miner.recommit", "1s"],
        ["--txpool.accountslots", str(_POOL_SLOTS), "--txpool.accountqueue", str(_POOL_SLOTS)],
        ["--cache", str(NODE_CACHE_MB), "--verbosity", str(verbosity)],
    ]
