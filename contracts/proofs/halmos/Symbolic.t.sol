// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {GroupId, IVirtualGroups, ObjectId} from "../../src/IVirtualGroups.sol";
import {VirtualGroups} from "../../src/VirtualGroups.sol";

/// @title The cheat codes that are used here
interface Symbolic {
    function assume(bool condition) external pure;
    function enableSymbolicStorage(address account) external;
    function store(address account, bytes32 slot, bytes32 word) external;
}

/// @title One act from any state
/// @notice halmos runs each `check_` on the register's bytecode. Arguments and storage are symbolic, and ecrecover is any
///         function whatever: so any state at all, whether it can be reached or not, but for what `_isSound` and
///         `_masterIsSound` say. An object, an address and a group are watched; as they are symbolic too, what one act
///         cannot do to them no number of acts can do to any.
contract SymbolicTest {
    Symbolic private constant vm = Symbolic(address(uint160(uint256(keccak256("hevm cheat code")))));
    Symbolic private constant svm = Symbolic(address(uint160(uint256(keccak256("svm cheat code")))));
    bytes32 private constant NEXT_INDEX_SLOT = bytes32(uint256(2));

    VirtualGroups private _register;

    function setUp() public {
        _register = new VirtualGroups();
        svm.enableSymbolicStorage(address(_register));
    }

    /// @dev Every object has a group: asserted after each act too.
    function _isSound(IVirtualGroups.Object memory object) private pure returns (bool) {
        return object.state == IVirtualGroups.ObjectState.None || object.groupIndex != 0;
    }

    /// @dev A group's master is a master object: assumed for rotateMaster alone, and shown by the invariants of forge.
    function _masterIsSound(GroupId gid) private view returns (bool) {
        IVirtualGroups.Group memory group = _register.groupOf(gid);
        IVirtualGroups.Object memory object = _register.objectOf(_register.objectIdOf(group.master));
        return object.state == IVirtualGroups.ObjectState.Master && object.groupIndex == group.index
            && object.account == group.master;
    }

    // ---------------------------------------------------------------------------------------------- what never happens

    /// @dev An object keeps its group and its part, its seq never falls, and a revoked one does not change at all.
    function _object(ObjectId oid, bytes memory act) private {
        IVirtualGroups.Object memory before = _register.objectOf(oid);
        vm.assume(_isSound(before));
        (bool done,) = address(_register).call(act);
        vm.assume(done);
        IVirtualGroups.Object memory object = _register.objectOf(oid);
        assert(_isSound(object));
        if (before.state == IVirtualGroups.ObjectState.None) return;
        assert(object.groupIndex == before.groupIndex);
        assert(object.lastSeq >= before.lastSeq);
        assert(object.state == before.state || object.state == IVirtualGroups.ObjectState.Revoked);
        assert(object.state == before.state || before.state == IVirtualGroups.ObjectState.Slave);
        if (before.state != IVirtualGroups.ObjectState.Revoked) return;
        assert(object.account == before.account && object.lastSeq == before.lastSeq);
    }

    /// @dev An address that was used stays used.
    function _address(address account, bytes memory act) private {
        vm.assume(_register.checkAddr(account));
        (bool done,) = address(_register).call(act);
        vm.assume(done);
        assert(_register.checkAddr(account));
    }

    /// @dev A group keeps its index; its epoch rises by one with an act on it that raises it, and never else.
    function _group(GroupId gid, GroupId acted, uint64 rise, bytes memory act) private {
        IVirtualGroups.Group memory before = _register.groupOf(gid);
        vm.assume(before.index != 0);
        (bool done,) = address(_register).call(act);
        vm.assume(done);
        IVirtualGroups.Group memory group = _register.groupOf(gid);
        assert(group.index == before.index);
        bool isIts = GroupId.unwrap(gid) == GroupId.unwrap(acted);
        if (isIts) assert(uint256(group.epoch) == uint256(before.epoch) + rise);
        else assert(group.epoch == before.epoch);
    }

    // ------------------------------------------------------------------------------------------------------ acts

    function _createGroup(uint32 next, bytes32 salt, address master, uint64 deadline, IVirtualGroups.Signature memory s)
        private
        returns (bytes memory)
    {
        vm.assume(next != 0);
        vm.store(address(_register), NEXT_INDEX_SLOT, bytes32(uint256(next)));
        return abi.encodeCall(_register.createGroup, (salt, master, deadline, s));
    }

    function check_object_createGroup(
        ObjectId oid,
        uint32 next,
        bytes32 salt,
        address master,
        uint64 deadline,
        IVirtualGroups.Signature memory s
    ) public {
        _object(oid, _createGroup(next, salt, master, deadline, s));
    }

    function check_address_createGroup(
        address account,
        uint32 next,
        bytes32 salt,
        address master,
        uint64 deadline,
        IVirtualGroups.Signature memory s
    ) public {
        _address(account, _createGroup(next, salt, master, deadline, s));
    }

    function check_group_createGroup(
        GroupId gid,
        uint32 next,
        bytes32 salt,
        address master,
        uint64 deadline,
        IVirtualGroups.Signature memory s
    ) public {
        _group(gid, gid, 0, _createGroup(next, salt, master, deadline, s));
    }

    function check_object_associate(ObjectId oid, IVirtualGroups.Association memory item) public {
        _object(oid, abi.encodeCall(_register.associate, (item)));
    }

    function check_address_associate(address account, IVirtualGroups.Association memory item) public {
        _address(account, abi.encodeCall(_register.associate, (item)));
    }

    function check_group_associate(GroupId gid, IVirtualGroups.Association memory item) public {
        _group(gid, gid, 0, abi.encodeCall(_register.associate, (item)));
    }

    /// @dev The batch is the loop around associate; two go through it, so that the second meets what the first left.
    function _batch(IVirtualGroups.Association memory first, IVirtualGroups.Association memory second)
        private
        view
        returns (bytes memory)
    {
        IVirtualGroups.Association[] memory items = new IVirtualGroups.Association[](2);
        (items[0], items[1]) = (first, second);
        return abi.encodeCall(_register.associateBatch, (items));
    }

    function check_object_associateBatch(
        ObjectId oid,
        IVirtualGroups.Association memory first,
        IVirtualGroups.Association memory second
    ) public {
        _object(oid, _batch(first, second));
    }

    function check_address_associateBatch(
        address account,
        IVirtualGroups.Association memory first,
        IVirtualGroups.Association memory second
    ) public {
        _address(account, _batch(first, second));
    }

    function check_group_associateBatch(
        GroupId gid,
        IVirtualGroups.Association memory first,
        IVirtualGroups.Association memory second
    ) public {
        _group(gid, gid, 0, _batch(first, second));
    }

    function check_object_recordExchange(
        ObjectId oid,
        GroupId gid,
        ObjectId from,
        ObjectId to,
        uint64 seq,
        uint64 epoch,
        IVirtualGroups.Signature memory s
    ) public {
        _object(oid, abi.encodeCall(_register.recordExchange, (gid, from, to, bytes32(0), seq, epoch, s)));
    }

    function check_object_revoke(
        ObjectId oid,
        GroupId gid,
        ObjectId who,
        uint64 deadline,
        IVirtualGroups.Signature memory s
    ) public {
        _object(oid, abi.encodeCall(_register.revoke, (gid, who, deadline, s)));
    }

    function check_group_revoke(
        GroupId watched,
        GroupId gid,
        ObjectId who,
        uint64 deadline,
        IVirtualGroups.Signature memory s
    ) public {
        _group(watched, gid, 1, abi.encodeCall(_register.revoke, (gid, who, deadline, s)));
    }

    function check_object_rotate(
        ObjectId oid,
        GroupId gid,
        ObjectId who,
        address next,
        IVirtualGroups.Signature memory byOld,
        IVirtualGroups.Signature memory byNew
    ) public {
        vm.assume(_isSound(_register.objectOf(who)));
        _object(oid, abi.encodeCall(_register.rotate, (gid, who, next, type(uint64).max, byOld, byNew)));
    }

    function check_address_rotate(
        address account,
        GroupId gid,
        ObjectId who,
        address next,
        IVirtualGroups.Signature memory byOld,
        IVirtualGroups.Signature memory byNew
    ) public {
        vm.assume(_isSound(_register.objectOf(who)));
        _address(account, abi.encodeCall(_register.rotate, (gid, who, next, type(uint64).max, byOld, byNew)));
    }

    function check_group_rotate(
        GroupId watched,
        GroupId gid,
        ObjectId who,
        address next,
        IVirtualGroups.Signature memory byOld,
        IVirtualGroups.Signature memory byNew
    ) public {
        _group(watched, gid, 1, abi.encodeCall(_register.rotate, (gid, who, next, type(uint64).max, byOld, byNew)));
    }

    function check_object_rotateMaster(
        ObjectId oid,
        GroupId gid,
        address next,
        IVirtualGroups.Signature memory byOld,
        IVirtualGroups.Signature memory byNew
    ) public {
        vm.assume(_masterIsSound(gid));
        _object(oid, abi.encodeCall(_register.rotateMaster, (gid, next, type(uint64).max, byOld, byNew)));
    }

    function check_group_rotateMaster(
        GroupId watched,
        GroupId gid,
        address next,
        IVirtualGroups.Signature memory byOld,
        IVirtualGroups.Signature memory byNew
    ) public {
        _group(watched, gid, 1, abi.encodeCall(_register.rotateMaster, (gid, next, type(uint64).max, byOld, byNew)));
    }

    // ------------------------------------------------------------------------------------- what success presupposes

    function check_nobodyJoinsWithoutAToken(ObjectId oid, IVirtualGroups.Association memory item) public {
        vm.assume(!_register.checkOID(oid));
        uint256 time = block.timestamp;
        (bool done,) = address(_register).call(abi.encodeCall(_register.associate, (item)));
        IVirtualGroups.Object memory object = _register.objectOf(oid);
        if (object.state == IVirtualGroups.ObjectState.None) return;
        assert(done && time <= item.deadline);
        assert(object.state == IVirtualGroups.ObjectState.Slave && object.lastSeq == 0);
        assert(_register.tokenVerify(item.gid, oid, object.account, item.token));
        assert(object.groupIndex == _register.groupOf(item.gid).index);
    }

    function check_aRecordIsVerifiedAndNew(
        GroupId gid,
        ObjectId from,
        ObjectId to,
        uint64 seq,
        uint64 epoch,
        IVirtualGroups.Signature memory s
    ) public {
        uint56 last = _register.objectOf(from).lastSeq;
        bytes memory look = abi.encodeCall(_register.verifyExchange, (gid, from, to, bytes32(0), seq, epoch, s));
        (bool isGood,) = address(_register).staticcall(look);
        bytes memory act = abi.encodeCall(_register.recordExchange, (gid, from, to, bytes32(0), seq, epoch, s));
        (bool done,) = address(_register).call(act);
        assert(done == (isGood && seq <= type(uint56).max && seq > last));
        if (done) assert(_register.objectOf(from).lastSeq == seq);
    }

    // ------------------------------------------------------------------- controls: what halmos has to find refuted

    function check_control_aSlaveIsNeverRevoked(
        ObjectId oid,
        GroupId gid,
        uint64 deadline,
        IVirtualGroups.Signature memory s
    ) public {
        (bool done,) = address(_register).call(abi.encodeCall(_register.revoke, (gid, oid, deadline, s)));
        assert(!done);
    }

    function check_control_epochsNeverRise(
        GroupId gid,
        ObjectId who,
        uint64 deadline,
        IVirtualGroups.Signature memory s
    ) public {
        _group(gid, gid, 0, abi.encodeCall(_register.revoke, (gid, who, deadline, s)));
    }

    function check_control_nobodyJoins(ObjectId oid, IVirtualGroups.Association memory item) public {
        vm.assume(!_register.checkOID(oid));
        (bool done,) = address(_register).call(abi.encodeCall(_register.associate, (item)));
        vm.assume(done);
        assert(!_register.checkOID(oid));
    }

    // -------------------------------------------------------------------------------------------------- signatures

    function check_nobodySignsForTheZeroAddress(bytes32 digest, IVirtualGroups.Signature memory s) public view {
        assert(!_register.signVerify(address(0), digest, s));
    }

    function check_aHighSIsRefused(address signer, bytes32 digest, IVirtualGroups.Signature memory s) public view {
        uint256 low = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0;
        vm.assume(uint256(s.vs) & (2 ** 255 - 1) > low);
        assert(!_register.signVerify(signer, digest, s));
    }
}
