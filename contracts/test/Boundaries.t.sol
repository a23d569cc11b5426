// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {GroupId, IVirtualGroups, ObjectId} from "../src/IVirtualGroups.sol";
import {Scenario} from "./Scenario.sol";

/// @title The last value that is good and the first that is not, and what only one of two signatures does
contract BoundariesTest is Scenario {
    bytes32 private constant PAYLOAD = keccak256("payload");

    function _record(uint64 seq) private {
        IVirtualGroups.Signature memory signature = _signExchange(SLAVE, gid, _oid(SLAVE), _oid(MASTER), seq, 2);
        register.recordExchange(gid, _oid(SLAVE), _oid(MASTER), PAYLOAD, seq, 2, signature);
    }

    function test_rotate_needsTheOldKeyToo() public {
        address next = vm.addr(STRANGER);
        IVirtualGroups.Signature memory byNew = _signRotation(STRANGER, gid, _oid(SLAVE), next);
        _refuse(IVirtualGroups.VirtualGroups_BadSignature.selector);
        register.rotate(gid, _oid(SLAVE), next, DEADLINE, byNew, byNew);
    }

    function test_rotateMaster_needsTheOldKeyToo() public {
        address next = vm.addr(STRANGER);
        IVirtualGroups.Signature memory byNew = _signMasterRotation(STRANGER, gid, next);
        _refuse(IVirtualGroups.VirtualGroups_BadSignature.selector);
        register.rotateMaster(gid, next, DEADLINE, byNew, byNew);
    }

    function test_recordExchange_theHighestSeq() public {
        _record(type(uint56).max);
        vm.assertEq(register.objectOf(_oid(SLAVE)).lastSeq, type(uint56).max);
    }

    function test_recordExchange_seqZeroIsNeverRecorded() public {
        IVirtualGroups.Signature memory signature = _signExchange(SLAVE, gid, _oid(SLAVE), _oid(MASTER), 0, 2);
        _refuse(IVirtualGroups.VirtualGroups_SeqNotRising.selector, uint64(0));
        register.recordExchange(gid, _oid(SLAVE), _oid(MASTER), PAYLOAD, 0, 2, signature);
    }

    function test_recordExchange_seqBelowTheEpochIsNotStale() public {
        _record(1);
        vm.assertEq(register.objectOf(_oid(SLAVE)).lastSeq, 1);
    }

    function test_verifyCheckpoint_ofOneRecord() public view {
        IVirtualGroups.Signature memory signature = _signCheckpoint(SLAVE, gid, _oid(SLAVE), 5, 5, 2);
        vm.assertTrue(register.verifyCheckpoint(gid, _oid(SLAVE), 5, 5, 2, keccak256("run"), signature));
    }

    function test_anchor_ofOneRecord() public {
        IVirtualGroups.Signature memory signature = _signAnchor(MASTER, gid, 5, 5);
        vm.expectEmit();
        emit IVirtualGroups.Anchored(gid, keccak256("root"), 5, 5, 2);
        register.anchor(gid, keccak256("root"), 5, 5, signature);
    }

    function test_associateBatch_ofThreeTakesTheFirstAndTheLast() public {
        IVirtualGroups.Association[] memory items = new IVirtualGroups.Association[](3);
        items[0] = _association(gid, MASTER, STRANGER);
        items[1] = items[0];
        items[2] = _association(otherGid, OTHER_MASTER, 0xC2);
        register.associateBatch(items);
        _is(_state(STRANGER), IVirtualGroups.ObjectState.Slave);
        _is(_state(0xC2), IVirtualGroups.ObjectState.Slave);
    }

    function test_tokenVerify_knowsTheMastersToken() public view {
        address account = vm.addr(STRANGER);
        vm.assertTrue(register.tokenVerify(gid, _oid(STRANGER), account, _token(MASTER, gid, STRANGER)));
        vm.assertFalse(register.tokenVerify(otherGid, _oid(STRANGER), account, _token(MASTER, gid, STRANGER)));
    }

    function test_objectIdOf_knowsTheFirstAddressAfterRotation() public {
        _rotate(SLAVE, SLAVE, STRANGER);
        vm.assertEq(
            bytes32(ObjectId.unwrap(register.objectIdOf(vm.addr(SLAVE)))), bytes32(ObjectId.unwrap(_oid(SLAVE)))
        );
        vm.assertEq(
            bytes32(ObjectId.unwrap(register.objectIdOf(vm.addr(STRANGER)))), bytes32(ObjectId.unwrap(_oid(SLAVE)))
        );
    }

    function test_deriveGroupId_isTheDocumentedHash() public view {
        bytes memory preimage = abi.encode("VirtualGroups", block.chainid, address(register), vm.addr(MASTER), SALT);
        GroupId derived = register.deriveGroupId(vm.addr(MASTER), SALT);
        vm.assertEq(bytes32(GroupId.unwrap(derived)), bytes32(bytes16(keccak256(preimage))));
    }

    function test_revokedObjectKeepsItsAddressAndIsNoLongerAMember() public view {
        IVirtualGroups.Object memory object = register.objectOf(_oid(REVOKED));
        vm.assertEq(object.account, vm.addr(REVOKED));
        vm.assertEq(object.groupIndex, 1);
        _is(object.state, IVirtualGroups.ObjectState.Revoked);
    }
}
