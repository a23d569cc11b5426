// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {GroupId, IVirtualGroups, ObjectId} from "../src/IVirtualGroups.sol";
import {Scenario} from "./Scenario.sol";

/// @title createGroup, associate, associateBatch and the views of Algorithm 1
contract AssociationTest is Scenario {
    // createGroup

    function test_createGroup_registersGroupAndMaster() public {
        address account = vm.addr(STRANGER);
        GroupId expected = register.deriveGroupId(account, SALT);
        IVirtualGroups.Signature memory signature = _signCreateGroup(STRANGER, SALT, account, DEADLINE);
        vm.expectEmit();
        emit IVirtualGroups.GroupCreated(expected, account, _oid(STRANGER), 3);
        GroupId made = register.createGroup(SALT, account, DEADLINE, signature);
        vm.assertEq(bytes32(GroupId.unwrap(made)), bytes32(GroupId.unwrap(expected)));
        vm.assertEq(register.groupOf(made).master, account);
        vm.assertEq(register.groupOf(made).epoch, 1);
        _is(_state(STRANGER), IVirtualGroups.ObjectState.Master);
    }

    function test_createGroup_late() public {
        IVirtualGroups.Signature memory signature = _signCreateGroup(STRANGER, SALT, vm.addr(STRANGER), NOW - 1);
        _refuse(IVirtualGroups.VirtualGroups_DeadlinePassed.selector, NOW - 1);
        register.createGroup(SALT, vm.addr(STRANGER), NOW - 1, signature);
    }

    function test_createGroup_zeroAddress() public {
        _refuse(IVirtualGroups.VirtualGroups_ZeroAddress.selector);
        register.createGroup(SALT, address(0), DEADLINE, _unsigned());
    }

    function test_createGroup_signedByAnother() public {
        IVirtualGroups.Signature memory signature = _signCreateGroup(SLAVE, SALT, vm.addr(STRANGER), DEADLINE);
        _refuse(IVirtualGroups.VirtualGroups_BadSignature.selector);
        register.createGroup(SALT, vm.addr(STRANGER), DEADLINE, signature);
    }

    function _refuseGroupOf(uint256 key, bytes4 selector, bytes32 argument) private {
        IVirtualGroups.Signature memory signature = _signCreateGroup(key, SALT, vm.addr(key), DEADLINE);
        _refuse(selector, argument);
        register.createGroup(SALT, vm.addr(key), DEADLINE, signature);
    }

    function test_createGroup_masterIsAMasterASlaveOrRevoked() public {
        bytes4 inUse = IVirtualGroups.VirtualGroups_ObjectIdInUse.selector;
        _refuseGroupOf(MASTER, inUse, bytes32(ObjectId.unwrap(_oid(MASTER))));
        _refuseGroupOf(SLAVE, inUse, bytes32(ObjectId.unwrap(_oid(SLAVE))));
        bytes4 revoked = IVirtualGroups.VirtualGroups_ObjectRevoked.selector;
        _refuseGroupOf(REVOKED, revoked, bytes32(ObjectId.unwrap(_oid(REVOKED))));
    }

    function test_createGroup_masterIsALaterAddress() public {
        _rotate(SLAVE, SLAVE, STRANGER);
        bytes4 inUse = IVirtualGroups.VirtualGroups_AddressInUse.selector;
        _refuseGroupOf(STRANGER, inUse, bytes32(uint256(uint160(vm.addr(STRANGER)))));
    }

    /// @dev Only a collision of the hash leads here, so the group's slot is written by hand.
    function test_createGroup_groupIdInUse() public {
        GroupId taken = register.deriveGroupId(vm.addr(STRANGER), SALT);
        bytes32 slot = keccak256(abi.encode(taken, uint256(1)));
        vm.store(address(register), slot, bytes32(uint256(7) << 160));
        IVirtualGroups.Signature memory signature = _signCreateGroup(STRANGER, SALT, vm.addr(STRANGER), DEADLINE);
        _refuse(IVirtualGroups.VirtualGroups_GroupIdInUse.selector, taken);
        register.createGroup(SALT, vm.addr(STRANGER), DEADLINE, signature);
    }

    function test_createGroup_afterTheLastIndexPanics() public {
        vm.store(address(register), bytes32(uint256(2)), bytes32(uint256(type(uint32).max)));
        IVirtualGroups.Signature memory signature = _signCreateGroup(STRANGER, SALT, vm.addr(STRANGER), DEADLINE);
        vm.expectRevert(abi.encodeWithSignature("Panic(uint256)", 0x11));
        register.createGroup(SALT, vm.addr(STRANGER), DEADLINE, signature);
    }

    // associate

    function test_associate_registersSlave() public {
        IVirtualGroups.Association memory item = _association(gid, MASTER, STRANGER);
        vm.expectEmit();
        emit IVirtualGroups.Associated(gid, _oid(STRANGER), vm.addr(STRANGER));
        register.associate(item);
        _is(_state(STRANGER), IVirtualGroups.ObjectState.Slave);
        vm.assertTrue(register.checkAddr(vm.addr(STRANGER)));
    }

    function test_associate_inTheBlockOfItsDeadline() public {
        register.associate(_request(gid, _token(MASTER, gid, STRANGER), STRANGER, NOW));
        _is(_state(STRANGER), IVirtualGroups.ObjectState.Slave);
    }

    function test_associate_late() public {
        IVirtualGroups.Association memory item = _request(gid, _token(MASTER, gid, STRANGER), STRANGER, NOW - 1);
        _refuse(IVirtualGroups.VirtualGroups_DeadlinePassed.selector, NOW - 1);
        register.associate(item);
    }

    function test_associate_requestOfNobody() public {
        IVirtualGroups.Association memory item = _association(gid, MASTER, STRANGER);
        item.request = _unsigned();
        _refuse(IVirtualGroups.VirtualGroups_BadSignature.selector);
        register.associate(item);
    }

    function test_associate_idInUse() public {
        IVirtualGroups.Association memory item = _association(otherGid, OTHER_MASTER, SLAVE);
        _refuse(IVirtualGroups.VirtualGroups_ObjectIdInUse.selector, _oid(SLAVE));
        register.associate(item);
    }

    function test_associate_master() public {
        IVirtualGroups.Association memory item = _association(gid, MASTER, OTHER_MASTER);
        _refuse(IVirtualGroups.VirtualGroups_ObjectIdInUse.selector, _oid(OTHER_MASTER));
        register.associate(item);
    }

    function test_associate_revoked() public {
        IVirtualGroups.Association memory item = _association(otherGid, OTHER_MASTER, REVOKED);
        _refuse(IVirtualGroups.VirtualGroups_ObjectRevoked.selector, _oid(REVOKED));
        register.associate(item);
    }

    function test_associate_laterAddress() public {
        _rotate(SLAVE, SLAVE, STRANGER);
        IVirtualGroups.Association memory item = _association(gid, MASTER, STRANGER);
        _refuse(IVirtualGroups.VirtualGroups_AddressInUse.selector, vm.addr(STRANGER));
        register.associate(item);
    }

    function test_associate_unknownGroupWithTokenOfNobody() public {
        IVirtualGroups.Association memory item = _request(NO_GROUP, _unsigned(), STRANGER, DEADLINE);
        _refuse(IVirtualGroups.VirtualGroups_UnknownGroup.selector, NO_GROUP);
        register.associate(item);
    }

    function test_associate_tokenOfAnotherMaster() public {
        IVirtualGroups.Association memory item = _association(gid, OTHER_MASTER, STRANGER);
        _refuse(IVirtualGroups.VirtualGroups_TokenRefused.selector);
        register.associate(item);
    }

    // associateBatch

    function test_associateBatch_refusesTheSecondOfTwins() public {
        IVirtualGroups.Association[] memory items = new IVirtualGroups.Association[](2);
        items[0] = _association(gid, MASTER, STRANGER);
        items[1] = items[0];
        vm.expectEmit();
        emit IVirtualGroups.Associated(gid, _oid(STRANGER), vm.addr(STRANGER));
        vm.expectEmit();
        emit IVirtualGroups.AssociationRefused(1, gid, IVirtualGroups.VirtualGroups_ObjectIdInUse.selector);
        register.associateBatch(items);
    }

    // views

    function test_views_knowNothingAtFirst() public view {
        vm.assertFalse(register.checkOID(NOBODY));
        vm.assertFalse(register.checkGID(NO_GROUP));
        vm.assertFalse(register.checkAddr(address(0)));
        vm.assertFalse(register.tokenVerify(NO_GROUP, NOBODY, address(0), _unsigned()));
        vm.assertFalse(register.signVerify(address(0), keccak256("digest"), _unsigned()));
    }

    function test_domainSeparator_followsTheChainId() public {
        bytes32 before = register.domainSeparator();
        GroupId groupBefore = register.deriveGroupId(vm.addr(MASTER), SALT);
        vm.chainId(block.chainid + 1);
        vm.assertTrue(register.domainSeparator() != before);
        vm.assertTrue(GroupId.unwrap(register.deriveGroupId(vm.addr(MASTER), SALT)) != GroupId.unwrap(groupBefore));
    }

    // fuzz

    function testFuzz_signVerify_takesNoOtherSignature(bytes32 digest, bytes32 r, bytes32 vs) public view {
        IVirtualGroups.Signature memory good = _sign(SLAVE, digest);
        vm.assertTrue(register.signVerify(vm.addr(SLAVE), digest, good));
        vm.assertFalse(register.signVerify(vm.addr(SLAVE), digest, IVirtualGroups.Signature(r, vs)));
        vm.assertFalse(register.signVerify(vm.addr(SLAVE), digest, IVirtualGroups.Signature(good.r, vs)));
        vm.assertFalse(register.signVerify(vm.addr(SLAVE), digest, IVirtualGroups.Signature(r, good.vs)));
    }

    function testFuzz_associate_takesNoGarbage(IVirtualGroups.Association memory item) public {
        vm.assume(item.deadline >= NOW);
        vm.expectRevert();
        register.associate(item);
    }

    function testFuzz_associateBatch_neverRevertsAsAWhole(IVirtualGroups.Association[] memory garbage) public {
        IVirtualGroups.Association[] memory items = new IVirtualGroups.Association[](garbage.length + 1);
        for (uint256 i = 0; i < garbage.length; ++i) {
            items[i] = garbage[i];
        }
        items[garbage.length] = _association(gid, MASTER, STRANGER);
        register.associateBatch(items);
        _is(_state(STRANGER), IVirtualGroups.ObjectState.Slave);
    }
}
