"""JSON-RPC with a node over its Unix socket, where geth offers what it should not offer to the network."""

import json
import socket
from pathlib import Path
from typing import Any, Final

from chain_gateway.network.errors import NodeRefused, NodeSilent
from chain_gateway.network.layout import NodeFolder

ANSWER_TIMEOUT_S: Final = 5.0
_CHUNK_BYTES: Final = 65_536
_ANSWER_MAX_BYTES: Final = 16 * 1024 * 1024


def ask_node(socket_path: Path, method: str, *params: object, timeout_s: float = ANSWER_TIMEOUT_S) -> Any:  # noqa: ANN401 - JSON
    """One question on a connection of its own; the ``result`` of the answer.

    Raises:
        NodeSilent: Nobody listens there, or no whole answer came in time.
        NodeRefused: The node answered with an error.
    """
    question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(str(socket_path))
            connection.sendall(json.dumps(question).encode())
            answer = json.loads(_read_line(connection))
    except (OSError, ValueError) as exc:
        raise NodeSilent(f"the node behind {socket_path} does not answer {method}: {exc}") from exc
    if not isinstance(answer, dict) or "result" not in answer:
        error = answer.get("error") if isinstance(answer, dict) else None
        reason = error.get("message") if isinstance(error, dict) else "no result"
        raise NodeRefused(f"the node behind {socket_path} answered {method} with: {reason}")
    return answer["result"]


def answers(folder: NodeFolder) -> bool:
    """Whether a node answers at all."""
    try:
        return bool(ask_node(folder.socket, "eth_chainId"))
    except (NodeSilent, NodeRefused):
        return False


def _read_line(connection: socket.socket) -> bytes:
    """Geth ends each answer with a newline, and JSON as it writes it holds no other."""
    received = bytearray()
    while not received.endswith(b"\n"):
        chunk = connection.recv(_CHUNK_BYTES)
        if not chunk:
            raise ConnectionError("the node closed the connection in the middle of an answer")
        received += chunk
        if len(received) > _ANSWER_MAX_BYTES:
            raise ValueError(f"an answer of more than {_ANSWER_MAX_BYTES} bytes")
    return bytes(received)
