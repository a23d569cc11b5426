# ruff: noqa: E501 - a pattern that is broken over lines is harder to hold against the source
"""Make the register's own source small enough to be put to CHC: every rule stays as written, what no solver bears goes.

``python -m tools.chc_register`` prints the result. Hashes, signatures and error data are left to the caller: a
signature carries the address that it recovers to and whether it is good, a salt the group id that it gives, so whatever
the register can do, this can, and more. Assembly that writes a slot becomes the assignment that it stands for. Each
replacement has to fit exactly as often as it says, so that a changed source stops here and not in a proof of something
else.
"""

import re
from typing import Final

from contracts import build

SOURCES: Final = ("IVirtualGroups", "StructHashes", "VirtualGroups")
_FIELD = r"[^;]*?"

# (what stands there, what stands there for CHC, how often)
REPLACEMENTS: Final = (
    # one file
    (r"// SPDX-License-Identifier: Apache-2\.0\npragma solidity 0\.8\.37;\n", "", 3),
    (r"import \{.*?\} from \"[^\"]*\";\n", "", 4),
    # hashes
    (r"    bytes32 private constant \w+ =\s*keccak256\([^;]*;\n", "", 11),
    (r"return keccak256\(abi\.encode(Packed)?\([^;]*;", "return 0;", 10),
    (r"    (uint256|bytes32) private immutable \w+ = [^;]*;\n", "", 2),
    (r"return block\.chainid == _chainId \? _domainSeparator : StructHashes\.domain\(\);", "return 0;", 1),
    (r"return GroupId\.wrap\(bytes16\(keccak256\([^;]*;", "return GroupId.wrap(salt);", 1),
    # signatures
    (r"\(recovered,,\) = ECDSA\.tryRecover\([^;]*;", "recovered = signature.r;", 1),
    (
        r"address recovered = _recover\(digest, signature\);\n\s*return recovered != address\(0\) && recovered == signer;",
        "return signature.vs != 0 && signer != address(0);",
        1,
    ),
    # an address is its last 16 bytes: where signatures are the caller's, nothing else of it decides anything
    (r"type ObjectId is bytes16;", "type ObjectId is address;", 1),
    (r"type GroupId is bytes16;", "type GroupId is bytes32;", 1),
    (r"bytes32 r;", "address r;", 1),
    (r"return ObjectId\.wrap\(bytes16\(uint128\(uint160\(account\)\)\)\);", "return ObjectId.wrap(account);", 1),
    (r"address target = [^;]*;", "address target = ObjectId.unwrap(oid);", 1),
    # error data: only whether there is a refusal
    (r"abi\.encodeWithSelector\([^;]*\)(?=;)", "1", 7),
    (r"returns \(bytes memory refusal\)", "returns (uint256 refusal)", 1),
    (r"private view returns \(bytes memory\) \{", "private view returns (uint256) {", 1),
    (r"bytes memory refusal = ", "uint256 refusal = ", 1),
    (r"bytes memory refusal\b", "uint256 refusal", 1),
    (r"refusal\.length", "refusal", 3),
    (r"return \"\";", "return 0;", 1),
    (r"emit AssociationRefused\([^;]*;", "{}", 1),
    # assembly
    (
        r"uint256 word = [^;]*\(uint256\(state\) << 192\);\n\s*assembly \(\"memory-safe\"\) \{\n\s*sstore\(slot\.slot, word\)\n\s*\}",
        "_objects[key] = Object(account, groupIndex, state, 0);",
        1,
    ),
    (
        r"uint256 word = [^;]*\(uint256\(1\) << 192\);\n\s*assembly \(\"memory-safe\"\) \{\n\s*sstore\(slot\.slot, word\)\n\s*\}",
        "_groups[key] = Group(master, index, 1);",
        1,
    ),
    (r"if \(refusal == 0\) return;\n\s*assembly \(\"memory-safe\"\) \{\n\s*revert\([^\n]*\n\s*\}", "require(refusal == 0);", 1),
    (r"bytes32 separator = domainSeparator\(\);\n\s*assembly \(\"memory-safe\"\) \{.*?\n        \}", "digest = structHash;", 1),
    # CHC forgets all objects where one is written by reference: copies to read, and the mapping to write
    (r"_put(Object|Group)\(\1 storage slot", r"_put\1(\1Id key", 2),
    (r"_put(Object|Group)\(_(?:objects|groups)\[(.+?)\], ", r"_put\1(\2, ", 4),
    (r"(Object|Group) storage ", r"\1 memory ", 19),
    (r"sender\.lastSeq = ", "_objects[from].lastSeq = ", 1),
    (r"object\.state = ", "_objects[oid].state = ", 1),
    (r"object\.account = ", "_objects[oid].account = ", 1),
    (r"group\.master = ", "_groups[gid].master = ", 1),
    (r"\+\+group\.epoch", "++_groups[gid].epoch", 3),
    # CHC looks at what can be called from outside: what writes nothing can break nothing, and a batch is its items
    (r"\n    function [^{}]*?;(?=\n)", "", 20),
    (r"    function (?:associateBatch|verifyCheckpoint|anchor|groupOf|objectOf|tokenVerify|domainSeparator)\(.*?\n    \}\n", "", 8),
    (r"public (view|pure)", r"internal \1", 7),
    # what is watched is read by the contract that inherits
    (r"mapping\((\w+) => (\w+)\) private (_\w+);", r"mapping(\1 => \2) internal \3;", 2),
    (r"uint32 private _nextIndex", "uint32 internal _nextIndex", 1),
)  # fmt: skip


def derive(asserting: str) -> str:
    """The register for CHC, and behind it a contract that inherits it and asserts.

    Raises:
        ValueError: The source has changed where something is replaced.
    """
    sources = build.read_sources()
    text = "\n".join(sources[f"contracts/src/{name}.sol"] for name in SOURCES)
    text = re.sub(r"^\s*///.*\n", "", text, flags=re.MULTILINE)
    for pattern, replacement, times in REPLACEMENTS:
        text, found = re.subn(pattern, replacement, text, flags=re.DOTALL)
        if found != times:
            raise ValueError(f"the register's source has changed: {found} times, not {times}: {pattern}")
    for left_over in ("assembly", "keccak256", "abi.encode", "ECDSA", "bytes memory"):
        if left_over in text:
            raise ValueError(f"{left_over} is left in the register for CHC")
    return f"// SPDX-License-Identifier: Apache-2.0\npragma solidity 0.8.37;\n{text}\n{asserting}"


if __name__ == "__main__":
    print(derive(""))
