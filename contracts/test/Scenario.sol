// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {GroupId, IVirtualGroups, ObjectId} from "../src/IVirtualGroups.sol";
import {Signing} from "./Signing.sol";

/// @title Two groups, one of them with a slave and a revoked slave: where the unit tests begin
abstract contract Scenario is Signing {
    uint256 internal constant MASTER = 0xA1;
    uint256 internal constant OTHER_MASTER = 0xA2;
    uint256 internal constant SLAVE = 0xB1;
    uint256 internal constant REVOKED = 0xB2;
    uint256 internal constant STRANGER = 0xC1;
    bytes32 internal constant SALT = keccak256("salt");

    GroupId internal gid;
    GroupId internal otherGid;

    function setUp() public virtual {
        _deploy();
        gid = _createGroup(MASTER);
        otherGid = _createGroup(OTHER_MASTER);
        register.associate(_association(gid, MASTER, SLAVE));
        register.associate(_association(gid, MASTER, REVOKED));
        register.revoke(gid, _oid(REVOKED), DEADLINE, _signRevocation(MASTER, gid, _oid(REVOKED)));
    }

    function _createGroup(uint256 master) internal returns (GroupId) {
        address account = vm.addr(master);
        return register.createGroup(SALT, account, DEADLINE, _signCreateGroup(master, SALT, account, DEADLINE));
    }

    function _association(GroupId group, uint256 master, uint256 slave)
        internal
        view
        returns (IVirtualGroups.Association memory)
    {
        return _request(group, _token(master, group, slave), slave, DEADLINE);
    }

    function _rotate(uint256 first, uint256 old, uint256 next) internal {
        ObjectId oid = _oid(first);
        address account = vm.addr(next);
        IVirtualGroups.Signature memory byOld = _signRotation(old, gid, oid, account);
        register.rotate(gid, oid, account, DEADLINE, byOld, _signRotation(next, gid, oid, account));
    }

    function _rotateMaster(uint256 old, uint256 next) internal {
        address account = vm.addr(next);
        IVirtualGroups.Signature memory byOld = _signMasterRotation(old, gid, account);
        register.rotateMaster(gid, account, DEADLINE, byOld, _signMasterRotation(next, gid, account));
    }

    /// @dev Expects an error without arguments.
    function _refuse(bytes4 selector) internal {
        vm.expectRevert(abi.encodePacked(selector));
    }

    /// @dev Expects an error with one.
    function _refuse(bytes4 selector, bytes32 argument) internal {
        vm.expectRevert(abi.encodePacked(selector, argument));
    }

    function _refuse(bytes4 selector, ObjectId oid) internal {
        _refuse(selector, bytes32(ObjectId.unwrap(oid)));
    }

    function _refuse(bytes4 selector, GroupId group) internal {
        _refuse(selector, bytes32(GroupId.unwrap(group)));
    }

    function _refuse(bytes4 selector, address account) internal {
        _refuse(selector, bytes32(uint256(uint160(account))));
    }

    function _refuse(bytes4 selector, uint64 number) internal {
        _refuse(selector, bytes32(uint256(number)));
    }

    function _state(uint256 first) internal view returns (IVirtualGroups.ObjectState) {
        return register.objectOf(_oid(first)).state;
    }

    function _is(IVirtualGroups.ObjectState left, IVirtualGroups.ObjectState right) internal pure {
        vm.assertEq(uint256(left), uint256(right));
    }
}
