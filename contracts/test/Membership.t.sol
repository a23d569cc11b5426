// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {GroupId, IVirtualGroups, ObjectId} from "../src/IVirtualGroups.sol";
import {Scenario} from "./Scenario.sol";

/// @title revoke, rotate and rotateMaster
contract MembershipTest is Scenario {
    function _revoke(GroupId group, ObjectId oid) private {
        register.revoke(group, oid, DEADLINE, _unsigned());
    }

    function _rotateUnsigned(GroupId group, ObjectId oid, address next) private {
        register.rotate(group, oid, next, DEADLINE, _unsigned(), _unsigned());
    }

    function test_revoke_leavesATombstone() public {
        IVirtualGroups.Signature memory signature = _signRevocation(MASTER, gid, _oid(SLAVE));
        vm.expectEmit();
        emit IVirtualGroups.Revoked(gid, _oid(SLAVE), 3);
        register.revoke(gid, _oid(SLAVE), DEADLINE, signature);
        _is(_state(SLAVE), IVirtualGroups.ObjectState.Revoked);
        vm.assertTrue(register.checkOID(_oid(SLAVE)));
        vm.assertTrue(register.checkAddr(vm.addr(SLAVE)));
    }

    function test_revoke_refusals() public {
        _refuse(IVirtualGroups.VirtualGroups_DeadlinePassed.selector, NOW - 1);
        register.revoke(gid, _oid(SLAVE), NOW - 1, _unsigned());
        _refuse(IVirtualGroups.VirtualGroups_UnknownGroup.selector, NO_GROUP);
        _revoke(NO_GROUP, _oid(SLAVE));
        _refuse(IVirtualGroups.VirtualGroups_UnknownObject.selector, NOBODY);
        _revoke(gid, NOBODY);
        _refuse(IVirtualGroups.VirtualGroups_NotInGroup.selector, _oid(SLAVE));
        _revoke(otherGid, _oid(SLAVE));
        _refuse(IVirtualGroups.VirtualGroups_ObjectRevoked.selector, _oid(REVOKED));
        _revoke(gid, _oid(REVOKED));
        _refuse(IVirtualGroups.VirtualGroups_NotASlave.selector, _oid(MASTER));
        _revoke(gid, _oid(MASTER));
        _refuse(IVirtualGroups.VirtualGroups_BadSignature.selector);
        _revoke(gid, _oid(SLAVE));
    }

    function test_rotate_movesTheObject() public {
        ObjectId oid = _oid(SLAVE);
        address next = vm.addr(STRANGER);
        IVirtualGroups.Signature memory byOld = _signRotation(SLAVE, gid, oid, next);
        IVirtualGroups.Signature memory byNew = _signRotation(STRANGER, gid, oid, next);
        vm.expectEmit();
        emit IVirtualGroups.Rotated(gid, oid, next, 3);
        register.rotate(gid, oid, next, DEADLINE, byOld, byNew);
        vm.assertEq(register.objectOf(oid).account, next);
        vm.assertEq(bytes32(ObjectId.unwrap(register.objectIdOf(next))), bytes32(ObjectId.unwrap(oid)));
        vm.assertTrue(register.checkAddr(vm.addr(SLAVE)));
        vm.assertFalse(register.checkOID(_oid(STRANGER)));
        vm.assertEq(register.objectOf(_oid(STRANGER)).account, address(0));
    }

    function test_rotate_refusals() public {
        address next = vm.addr(STRANGER);
        _refuse(IVirtualGroups.VirtualGroups_DeadlinePassed.selector, NOW - 1);
        register.rotate(gid, _oid(SLAVE), next, NOW - 1, _unsigned(), _unsigned());
        _refuse(IVirtualGroups.VirtualGroups_ZeroAddress.selector);
        _rotateUnsigned(gid, _oid(SLAVE), address(0));
        _refuse(IVirtualGroups.VirtualGroups_UnknownGroup.selector, NO_GROUP);
        _rotateUnsigned(NO_GROUP, _oid(SLAVE), next);
        _refuse(IVirtualGroups.VirtualGroups_UnknownObject.selector, NOBODY);
        _rotateUnsigned(gid, NOBODY, next);
        _refuse(IVirtualGroups.VirtualGroups_NotInGroup.selector, _oid(SLAVE));
        _rotateUnsigned(otherGid, _oid(SLAVE), next);
        _refuse(IVirtualGroups.VirtualGroups_ObjectRevoked.selector, _oid(REVOKED));
        _rotateUnsigned(gid, _oid(REVOKED), next);
        _refuse(IVirtualGroups.VirtualGroups_NotASlave.selector, _oid(MASTER));
        _rotateUnsigned(gid, _oid(MASTER), next);
        _refuse(IVirtualGroups.VirtualGroups_AddressInUse.selector, vm.addr(OTHER_MASTER));
        _rotateUnsigned(gid, _oid(SLAVE), vm.addr(OTHER_MASTER));
        _refuse(IVirtualGroups.VirtualGroups_BadSignature.selector);
        _rotateUnsigned(gid, _oid(SLAVE), next);
    }

    function test_rotate_needsTheNewKeyToo() public {
        address next = vm.addr(STRANGER);
        IVirtualGroups.Signature memory byOld = _signRotation(SLAVE, gid, _oid(SLAVE), next);
        _refuse(IVirtualGroups.VirtualGroups_BadSignature.selector);
        register.rotate(gid, _oid(SLAVE), next, DEADLINE, byOld, byOld);
    }

    function test_rotateMaster_keepsGroupAndObject() public {
        address next = vm.addr(STRANGER);
        IVirtualGroups.Signature memory byOld = _signMasterRotation(MASTER, gid, next);
        IVirtualGroups.Signature memory byNew = _signMasterRotation(STRANGER, gid, next);
        vm.expectEmit();
        emit IVirtualGroups.MasterRotated(gid, next, 3);
        register.rotateMaster(gid, next, DEADLINE, byOld, byNew);
        vm.assertEq(register.groupOf(gid).master, next);
        vm.assertEq(register.objectOf(_oid(MASTER)).account, next);
        _rotateMaster(STRANGER, 0xC2);
        vm.assertEq(register.objectOf(_oid(MASTER)).account, vm.addr(0xC2));
    }

    function test_rotateMaster_refusals() public {
        _refuse(IVirtualGroups.VirtualGroups_DeadlinePassed.selector, NOW - 1);
        register.rotateMaster(gid, address(0), NOW - 1, _unsigned(), _unsigned());
        _refuse(IVirtualGroups.VirtualGroups_ZeroAddress.selector);
        register.rotateMaster(gid, address(0), DEADLINE, _unsigned(), _unsigned());
        _refuse(IVirtualGroups.VirtualGroups_UnknownGroup.selector, NO_GROUP);
        register.rotateMaster(NO_GROUP, vm.addr(STRANGER), DEADLINE, _unsigned(), _unsigned());
        _refuse(IVirtualGroups.VirtualGroups_AddressInUse.selector, vm.addr(SLAVE));
        register.rotateMaster(gid, vm.addr(SLAVE), DEADLINE, _unsigned(), _unsigned());
        _refuse(IVirtualGroups.VirtualGroups_BadSignature.selector);
        register.rotateMaster(gid, vm.addr(STRANGER), DEADLINE, _unsigned(), _unsigned());
        IVirtualGroups.Signature memory byOld = _signMasterRotation(MASTER, gid, vm.addr(STRANGER));
        _refuse(IVirtualGroups.VirtualGroups_BadSignature.selector);
        register.rotateMaster(gid, vm.addr(STRANGER), DEADLINE, byOld, byOld);
    }

    function testFuzz_rotate_anyFreeAddressOnce(uint256 seed) public {
        uint256 next = (seed % type(uint128).max) + 0x1000;
        _rotate(SLAVE, SLAVE, next);
        _refuse(IVirtualGroups.VirtualGroups_AddressInUse.selector, vm.addr(SLAVE));
        _rotateUnsigned(gid, _oid(SLAVE), vm.addr(SLAVE));
        _refuse(IVirtualGroups.VirtualGroups_AddressInUse.selector, vm.addr(next));
        _rotateUnsigned(gid, _oid(SLAVE), vm.addr(next));
    }
}
