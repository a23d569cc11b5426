// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {GroupId, IVirtualGroups, ObjectId} from "../src/IVirtualGroups.sol";
import {VirtualGroups} from "../src/VirtualGroups.sol";
import {Signing} from "./Signing.sol";

/// @title Does anything that well-signed calls can do, with few keys, so that they get into each other's way
/// @dev Most calls are refused. What was true once is remembered, for the invariants to compare with.
contract Crowd is Signing {
    uint256 public constant KEYS = 10;

    GroupId[] public groups;
    mapping(address => uint256) private _keyOf;
    mapping(ObjectId => bool) public wasRevoked;
    mapping(ObjectId => uint56) public highestSeq;
    mapping(GroupId => uint64) public highestEpoch;

    constructor() {
        _deploy();
        for (uint256 i = 0; i < KEYS; ++i) {
            _keyOf[vm.addr(key(i))] = key(i);
        }
        createGroup(0);
        createGroup(1);
    }

    function theRegister() external view returns (VirtualGroups) {
        return register;
    }

    function key(uint256 seed) public pure returns (uint256) {
        return 0xD000 + (seed % KEYS);
    }

    function oidOf(uint256 seed) public pure returns (ObjectId) {
        return _oid(key(seed));
    }

    function groupCount() external view returns (uint256) {
        return groups.length;
    }

    function createGroup(uint256 seed) public {
        address account = vm.addr(key(seed));
        IVirtualGroups.Signature memory signature = _signCreateGroup(key(seed), 0, account, DEADLINE);
        try register.createGroup(0, account, DEADLINE, signature) returns (GroupId made) {
            groups.push(made);
        } catch {}
    }

    function associate(uint256 groupSeed, uint256 seed) external {
        GroupId gid = _group(groupSeed);
        IVirtualGroups.Signature memory token = _token(_masterOf(gid), gid, key(seed));
        try register.associate(_request(gid, token, key(seed), DEADLINE)) {} catch {}
    }

    function revoke(uint256 groupSeed, uint256 seed) external {
        GroupId gid = _group(groupSeed);
        ObjectId oid = oidOf(seed);
        IVirtualGroups.Signature memory signature = _signRevocation(_masterOf(gid), gid, oid);
        try register.revoke(gid, oid, DEADLINE, signature) {
            wasRevoked[oid] = true;
        } catch {}
        _remember(gid, oid);
    }

    function rotate(uint256 groupSeed, uint256 seed, uint256 nextSeed) external {
        GroupId gid = _group(groupSeed);
        ObjectId oid = oidOf(seed);
        uint256 next = key(nextSeed);
        uint256 old = _currentKey(oid, seed);
        IVirtualGroups.Signature memory byOld = _signRotation(old, gid, oid, vm.addr(next));
        IVirtualGroups.Signature memory byNew = _signRotation(next, gid, oid, vm.addr(next));
        try register.rotate(gid, oid, vm.addr(next), DEADLINE, byOld, byNew) {} catch {}
        _remember(gid, oid);
    }

    function rotateMaster(uint256 groupSeed, uint256 nextSeed) external {
        GroupId gid = _group(groupSeed);
        uint256 next = key(nextSeed);
        IVirtualGroups.Signature memory byOld = _signMasterRotation(_masterOf(gid), gid, vm.addr(next));
        IVirtualGroups.Signature memory byNew = _signMasterRotation(next, gid, vm.addr(next));
        try register.rotateMaster(gid, vm.addr(next), DEADLINE, byOld, byNew) {} catch {}
        _remember(gid, oidOf(nextSeed));
    }

    function recordExchange(uint256 groupSeed, uint256 seed, uint256 toSeed, uint64 seqSeed) external {
        GroupId gid = _group(groupSeed);
        uint64 seq = seqSeed % 16;
        ObjectId oid = oidOf(seed);
        uint64 epoch = register.groupOf(gid).epoch;
        IVirtualGroups.Signature memory signature =
            _signExchange(_currentKey(oid, seed), gid, oid, oidOf(toSeed), seq, epoch);
        try register.recordExchange(gid, oid, oidOf(toSeed), keccak256("payload"), seq, epoch, signature) {} catch {}
        _remember(gid, oid);
    }

    function _group(uint256 seed) private view returns (GroupId) {
        return groups[seed % groups.length];
    }

    function _masterOf(GroupId gid) private view returns (uint256) {
        return _keyOf[register.groupOf(gid).master];
    }

    function _currentKey(ObjectId oid, uint256 seed) private view returns (uint256) {
        address account = register.objectOf(oid).account;
        return account == address(0) ? key(seed) : _keyOf[account];
    }

    /// @dev Keeps the highest numbers ever seen.
    function _remember(GroupId gid, ObjectId oid) private {
        uint64 epoch = register.groupOf(gid).epoch;
        uint56 seq = register.objectOf(oid).lastSeq;
        if (epoch > highestEpoch[gid]) highestEpoch[gid] = epoch;
        if (seq > highestSeq[oid]) highestSeq[oid] = seq;
    }
}

/// @title What holds whatever is called
contract InvariantTest is Signing {
    Crowd private _crowd;

    function setUp() public {
        _crowd = new Crowd();
        register = _crowd.theRegister();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_crowd);
    }

    function invariant_revokedStaysRevoked() public view {
        for (uint256 i = 0; i < _crowd.KEYS(); ++i) {
            ObjectId oid = _crowd.oidOf(i);
            IVirtualGroups.ObjectState state = register.objectOf(oid).state;
            vm.assertTrue(_crowd.wasRevoked(oid) == (state == IVirtualGroups.ObjectState.Revoked));
        }
    }

    function invariant_lastSeqNeverFalls() public view {
        for (uint256 i = 0; i < _crowd.KEYS(); ++i) {
            ObjectId oid = _crowd.oidOf(i);
            vm.assertEq(register.objectOf(oid).lastSeq, _crowd.highestSeq(oid));
        }
    }

    function invariant_epochNeverFalls() public view {
        for (uint256 i = 0; i < _crowd.groupCount(); ++i) {
            vm.assertTrue(register.groupOf(_crowd.groups(i)).epoch >= _crowd.highestEpoch(_crowd.groups(i)));
        }
    }

    function invariant_anAddressBelongsToOneObject() public view {
        for (uint256 i = 0; i < _crowd.KEYS(); ++i) {
            address account = vm.addr(_crowd.key(i));
            uint256 owners = 0;
            for (uint256 j = 0; j < _crowd.KEYS(); ++j) {
                ObjectId oid = _crowd.oidOf(j);
                if (register.objectOf(oid).account != account) continue;
                ++owners;
                vm.assertTrue(ObjectId.unwrap(register.objectIdOf(account)) == ObjectId.unwrap(oid));
                vm.assertTrue(register.checkAddr(account));
            }
            vm.assertTrue(owners <= 1);
        }
    }

    function invariant_aGroupsMasterIsAMasterObjectOfIt() public view {
        for (uint256 i = 0; i < _crowd.groupCount(); ++i) {
            IVirtualGroups.Group memory group = register.groupOf(_crowd.groups(i));
            IVirtualGroups.Object memory object = register.objectOf(register.objectIdOf(group.master));
            vm.assertEq(object.account, group.master);
            vm.assertEq(object.groupIndex, group.index);
            vm.assertTrue(object.state == IVirtualGroups.ObjectState.Master);
        }
    }
}
