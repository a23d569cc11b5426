"""Where a contract stands, as a file remembers it."""

import json
from dataclasses import dataclass
from pathlib import Path

from group_protocol.error_codes import ErrorCode
from group_protocol.errors import ConfigurationError, DecodingError
from group_protocol.identifiers import Address, parse_address
from group_protocol.ports import RegistryIdentity
from system_ports.private_files import replace_private_file


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where the contract stands.

    Attributes:
        block_number: Block of its deployment: none of its events is older.
    """

    identity: RegistryIdentity
    block_number: int


def write_deployment(path: Path, deployment: Deployment) -> None:
    """Remember a deployment, whole or not at all."""
    fields = {
        "chain_id": deployment.identity.chain_id,
        "contract": f"0x{deployment.identity.contract.hex()}",
        "block_number": deployment.block_number,
    }
    replace_private_file(path, json.dumps(fields, indent=2).encode("ascii") + b"\n")


def read_deployment(path: Path) -> Deployment | None:
    """The deployment that was remembered; None where nothing was.

    Raises:
        ConfigurationError: The file is not of that form.
    """
    try:
        fields = json.loads(path.read_text("utf-8"))
        chain_id, contract, block_number = fields["chain_id"], fields["contract"], fields["block_number"]
        address = parse_contract(contract)
        if not (type(chain_id) is int and type(block_number) is int and chain_id > 0 and block_number >= 0):
            raise ValueError("chain_id or block_number is no number")  # noqa: TRY301 - as the parser's own
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DecodingError) as exc:
        raise ConfigurationError(
            f"{path} does not name a contract: {exc}",
            remedy='It holds {"chain_id": …, "contract": "0x…", "block_number": …}. Restore it, or deploy anew.',
            code=ErrorCode.CHAIN_FILE_DAMAGED,
        ) from exc
    return Deployment(RegistryIdentity(chain_id, address), block_number)


def parse_contract(text: str) -> Address:
    """An address as 0x and 40 hex digits. Raises ValueError or DecodingError."""
    return parse_address(bytes.fromhex(text.removeprefix("0x")))
