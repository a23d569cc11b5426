// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {GroupId, IVirtualGroups, ObjectId} from "./IVirtualGroups.sol";

/// @title The EIP-712 struct hashes of what masters and slaves sign for the register
/// @dev docs/protocol.md, section 8. A bytes16 is padded on the right, numbers and addresses on the left: as abi.encode does.
library StructHashes {
    bytes32 private constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant NAME = keccak256("VirtualGroups");
    bytes32 private constant VERSION = keccak256("1");
    bytes32 private constant CREATE_GROUP = keccak256("CreateGroup(bytes32 salt,address master,uint64 deadline)");
    bytes32 private constant ASSOCIATION =
        keccak256("Association(bytes16 gid,bytes32 tokenR,bytes32 tokenVs,uint64 deadline)");
    bytes32 private constant REVOCATION = keccak256("Revocation(bytes16 gid,bytes16 oid,uint64 deadline)");
    bytes32 private constant ROTATION =
        keccak256("Rotation(bytes16 gid,bytes16 oid,address newAddress,uint64 deadline)");
    bytes32 private constant MASTER_ROTATION =
        keccak256("MasterRotation(bytes16 gid,address newMaster,uint64 deadline)");
    bytes32 private constant EXCHANGE =
        keccak256("Exchange(bytes16 gid,bytes16 from,bytes16 to,bytes32 payloadHash,uint64 seq,uint64 epoch)");
    bytes32 private constant CHECKPOINT = keccak256(
        "Checkpoint(bytes16 gid,bytes16 from,uint64 firstSeq,uint64 lastSeq,uint64 epoch,bytes32 runningHash)"
    );
    bytes32 private constant ANCHOR = keccak256("Anchor(bytes16 gid,bytes32 root,uint64 fromRecord,uint64 toRecord)");

    function domain() internal view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN, NAME, VERSION, block.chainid, address(this)));
    }

    function createGroup(bytes32 salt, address master, uint64 deadline) internal pure returns (bytes32) {
        return keccak256(abi.encode(CREATE_GROUP, salt, master, deadline));
    }

    function association(IVirtualGroups.Association calldata item) internal pure returns (bytes32) {
        return keccak256(abi.encode(ASSOCIATION, item.gid, item.token.r, item.token.vs, item.deadline));
    }

    function revocation(GroupId gid, ObjectId oid, uint64 deadline) internal pure returns (bytes32) {
        return keccak256(abi.encode(REVOCATION, gid, oid, deadline));
    }

    function rotation(GroupId gid, ObjectId oid, address newAddress, uint64 deadline) internal pure returns (bytes32) {
        return keccak256(abi.encode(ROTATION, gid, oid, newAddress, deadline));
    }

    function masterRotation(GroupId gid, address newMaster, uint64 deadline) internal pure returns (bytes32) {
        return keccak256(abi.encode(MASTER_ROTATION, gid, newMaster, deadline));
    }

    function exchange(GroupId gid, ObjectId from, ObjectId to, bytes32 payloadHash, uint64 seq, uint64 epoch)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(EXCHANGE, gid, from, to, payloadHash, seq, epoch));
    }

    function checkpoint(GroupId gid, ObjectId from, uint64 firstSeq, uint64 lastSeq, uint64 epoch, bytes32 runningHash)
        internal
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(CHECKPOINT, gid, from, firstSeq, lastSeq, epoch, runningHash));
    }

    function anchor(GroupId gid, bytes32 root, uint64 fromRecord, uint64 toRecord) internal pure returns (bytes32) {
        return keccak256(abi.encode(ANCHOR, gid, root, fromRecord, toRecord));
    }
}
