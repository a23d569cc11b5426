"""The compiled contract that ships with the package: nobody needs a compiler to deploy it or to talk to it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

ARTIFACT = "artifact/VirtualGroups.json"


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A place in the runtime bytecode where the constructor puts an immutable value."""

    start: int
    """Offset in bytes."""
    length_bytes: int


@dataclass(frozen=True, slots=True)
class ContractArtifact:
    """What the compiler made of `contracts/src`, as `contracts/build.py` committed it."""

    name: str
    abi: tuple[Mapping[str, Any], ...] = field(repr=False)
    """The contract's JSON ABI: functions, events and errors."""
    creation_bytecode: bytes = field(repr=False)
    """What a deploying transaction carries; the constructor takes no arguments."""
    runtime_bytecode: bytes = field(repr=False)
    """What stands at the contract's address, with zeros in `immutable_references`."""
    immutable_references: tuple[ByteRange, ...] = field(repr=False)
    compiler_version: str
    """For instance `0.8.37+commit.01234567`, without the platform."""
    settings: Mapping[str, Any] = field(repr=False)
    """The compiler's settings (optimiser, EVM version, metadata)."""
    source_sha256: Mapping[str, str] = field(repr=False)
    """SHA-256 of each source in hex, by the name under which it was compiled."""

    def matches_runtime(self, code: bytes) -> bool:
        """Tell whether `code`, as read from a chain, is this contract (immutable values may be any)."""
        if len(code) != len(self.runtime_bytecode):
            return False
        masked = bytearray(code)
        for place in self.immutable_references:
            masked[place.start : place.start + place.length_bytes] = bytes(place.length_bytes)
        return bytes(masked) == self.runtime_bytecode


def load_artifact() -> ContractArtifact:
    """Read the artifact that ships in this package.

    Returns:
        The contract as it was compiled; about 60 KB of JSON are parsed on each call.
    """
    stored = json.loads(files("contracts").joinpath(ARTIFACT).read_text(encoding="utf-8"))
    return ContractArtifact(
        name=stored["contractName"],
        abi=tuple(stored["abi"]),
        creation_bytecode=bytes.fromhex(stored["bytecode"].removeprefix("0x")),
        runtime_bytecode=bytes.fromhex(stored["deployedBytecode"].removeprefix("0x")),
        immutable_references=tuple(
            ByteRange(start=place["start"], length_bytes=place["length"]) for place in stored["immutableReferences"]
        ),
        compiler_version=stored["compiler"],
        settings=stored["settings"],
        source_sha256=stored["sources"],
    )
