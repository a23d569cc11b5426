// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {GroupId, IVirtualGroups, ObjectId} from "../src/IVirtualGroups.sol";
import {VirtualGroups} from "../src/VirtualGroups.sol";
import {Vm} from "./Vm.sol";

/// @title A register, and the signatures that it asks for
/// @dev The types are spelled out again here: nothing is taken from the contract's own hashing.
abstract contract Signing {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    uint64 internal constant NOW = 1_700_000_000;
    uint64 internal constant DEADLINE = NOW + 3600;
    GroupId internal constant NO_GROUP = GroupId.wrap(bytes16(uint128(1)));
    ObjectId internal constant NOBODY = ObjectId.wrap(bytes16(uint128(2)));

    VirtualGroups internal register;
    bytes32 private _separator;

    function _deploy() internal {
        vm.warp(NOW);
        register = new VirtualGroups();
        bytes32 kind = keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        bytes32 name = keccak256("VirtualGroups");
        _separator = keccak256(abi.encode(kind, name, keccak256("1"), block.chainid, address(register)));
    }

    function _oid(uint256 key) internal pure returns (ObjectId) {
        return ObjectId.wrap(bytes16(uint128(uint160(vm.addr(key)))));
    }

    function _unsigned() internal pure returns (IVirtualGroups.Signature memory) {
        return IVirtualGroups.Signature(0, 0);
    }

    function _sign(uint256 key, bytes32 digest) internal pure returns (IVirtualGroups.Signature memory) {
        (bytes32 r, bytes32 vs) = vm.signCompact(key, digest);
        return IVirtualGroups.Signature(r, vs);
    }

    function _signTyped(uint256 key, bytes memory fields) internal view returns (IVirtualGroups.Signature memory) {
        return _sign(key, keccak256(abi.encodePacked(hex"1901", _separator, keccak256(fields))));
    }

    function _token(uint256 master, GroupId gid, uint256 slave)
        internal
        pure
        returns (IVirtualGroups.Signature memory)
    {
        return _sign(master, keccak256(abi.encodePacked(gid, _oid(slave), vm.addr(slave))));
    }

    function _signCreateGroup(uint256 key, bytes32 salt, address master, uint64 deadline)
        internal
        view
        returns (IVirtualGroups.Signature memory)
    {
        bytes32 kind = keccak256("CreateGroup(bytes32 salt,address master,uint64 deadline)");
        return _signTyped(key, abi.encode(kind, salt, master, deadline));
    }

    function _request(GroupId gid, IVirtualGroups.Signature memory token, uint256 slave, uint64 deadline)
        internal
        view
        returns (IVirtualGroups.Association memory)
    {
        bytes32 kind = keccak256("Association(bytes16 gid,bytes32 tokenR,bytes32 tokenVs,uint64 deadline)");
        IVirtualGroups.Signature memory signature =
            _signTyped(slave, abi.encode(kind, gid, token.r, token.vs, deadline));
        return IVirtualGroups.Association(gid, token, signature, deadline);
    }

    function _signRevocation(uint256 key, GroupId gid, ObjectId oid)
        internal
        view
        returns (IVirtualGroups.Signature memory)
    {
        bytes32 kind = keccak256("Revocation(bytes16 gid,bytes16 oid,uint64 deadline)");
        return _signTyped(key, abi.encode(kind, gid, oid, DEADLINE));
    }

    function _signRotation(uint256 key, GroupId gid, ObjectId oid, address newAddress)
        internal
        view
        returns (IVirtualGroups.Signature memory)
    {
        bytes32 kind = keccak256("Rotation(bytes16 gid,bytes16 oid,address newAddress,uint64 deadline)");
        return _signTyped(key, abi.encode(kind, gid, oid, newAddress, DEADLINE));
    }

    function _signMasterRotation(uint256 key, GroupId gid, address newMaster)
        internal
        view
        returns (IVirtualGroups.Signature memory)
    {
        bytes32 kind = keccak256("MasterRotation(bytes16 gid,address newMaster,uint64 deadline)");
        return _signTyped(key, abi.encode(kind, gid, newMaster, DEADLINE));
    }

    function _signExchange(uint256 key, GroupId gid, ObjectId from, ObjectId to, uint64 seq, uint64 epoch)
        internal
        view
        returns (IVirtualGroups.Signature memory)
    {
        bytes32 kind =
            keccak256("Exchange(bytes16 gid,bytes16 from,bytes16 to,bytes32 payloadHash,uint64 seq,uint64 epoch)");
        return _signTyped(key, abi.encode(kind, gid, from, to, keccak256("payload"), seq, epoch));
    }

    function _signCheckpoint(uint256 key, GroupId gid, ObjectId from, uint64 firstSeq, uint64 lastSeq, uint64 epoch)
        internal
        view
        returns (IVirtualGroups.Signature memory)
    {
        bytes32 kind = keccak256(
            "Checkpoint(bytes16 gid,bytes16 from,uint64 firstSeq,uint64 lastSeq,uint64 epoch,bytes32 runningHash)"
        );
        return _signTyped(key, abi.encode(kind, gid, from, firstSeq, lastSeq, epoch, keccak256("run")));
    }

    function _signAnchor(uint256 key, GroupId gid, uint64 fromRecord, uint64 toRecord)
        internal
        view
        returns (IVirtualGroups.Signature memory)
    {
        bytes32 kind = keccak256("Anchor(bytes16 gid,bytes32 root,uint64 fromRecord,uint64 toRecord)");
        return _signTyped(key, abi.encode(kind, gid, keccak256("root"), fromRecord, toRecord));
    }
}
