// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {GroupId, IVirtualGroups, ObjectId} from "./IVirtualGroups.sol";
import {StructHashes} from "./StructHashes.sol";

/// @title The public register of virtual groups of medical devices
/// @notice See IVirtualGroups.
contract VirtualGroups is IVirtualGroups {
    /// @dev One slot for every address that an object has or had, under the last 16 bytes of that address:
    ///      - the first address of an object: the object itself, its id being this key;
    ///      - an address that an object rotated to: a *pointer*, which is a slot with state None and a group index that is
    ///        not 0, and whose `account` holds the object's id. A pointer is not an object: objectOf and checkOID see none.
    ///      So one read tells whether an id and its address are free. Slots are never cleared: nothing comes back.
    mapping(ObjectId => Object) private _objects;

    mapping(GroupId => Group) private _groups;

    /// @dev Begins at 1, so that no object of a group has index 0 and the first createGroup costs no more than the others.
    uint32 private _nextIndex = 1;

    uint256 private immutable _chainId = block.chainid;
    bytes32 private immutable _domainSeparator = StructHashes.domain();

    // ----------------------------------------------------------------------------------------------- association

    /// @inheritdoc IVirtualGroups
    function createGroup(bytes32 salt, address master, uint64 deadline, Signature calldata signature)
        external
        returns (GroupId gid)
    {
        _requireInTime(deadline);
        if (master == address(0)) revert VirtualGroups_ZeroAddress();
        _requireSigned(master, StructHashes.createGroup(salt, master, deadline), signature);
        ObjectId oid = _tailOf(master);
        _revertIfAny(_refusalOfNewcomer(oid, master));
        gid = deriveGroupId(master, salt);
        if (checkGID(gid)) revert VirtualGroups_GroupIdInUse(gid);

        uint32 index = _nextIndex;
        _nextIndex = index + 1; // checked: panics rather than give two groups one index
        _putGroup(_groups[gid], master, index);
        _putObject(_objects[oid], master, index, ObjectState.Master);
        emit GroupCreated(gid, master, oid, index);
    }

    /// @inheritdoc IVirtualGroups
    function associate(Association calldata item) external {
        _revertIfAny(_tryAssociate(item));
    }

    /// @inheritdoc IVirtualGroups
    function associateBatch(Association[] calldata items) external {
        for (uint256 i = 0; i < items.length; ++i) {
            bytes memory refusal = _tryAssociate(items[i]);
            if (refusal.length != 0) emit AssociationRefused(i, items[i].gid, bytes4(refusal));
        }
    }

    // ---------------------------------------------------------------------------------------------------- evidence

    /// @inheritdoc IVirtualGroups
    function verifyExchange(
        GroupId gid,
        ObjectId from,
        ObjectId to,
        bytes32 payloadHash,
        uint64 seq,
        uint64 epoch,
        Signature calldata signature
    ) public view returns (bool) {
        Object storage sender = _requireActive(from);
        Object storage receiver = _requireActive(to);
        Group storage group = _requireGroup(gid);
        if (sender.groupIndex != group.index) revert VirtualGroups_NotInGroup(from);
        if (receiver.groupIndex != group.index) revert VirtualGroups_NotInGroup(to);
        if (epoch != group.epoch) revert VirtualGroups_StaleEpoch(group.epoch);
        _requireSigned(sender.account, StructHashes.exchange(gid, from, to, payloadHash, seq, epoch), signature);
        return true;
    }

    /// @inheritdoc IVirtualGroups
    function recordExchange(
        GroupId gid,
        ObjectId from,
        ObjectId to,
        bytes32 payloadHash,
        uint64 seq,
        uint64 epoch,
        Signature calldata signature
    ) external {
        verifyExchange(gid, from, to, payloadHash, seq, epoch, signature);
        if (seq > type(uint56).max) revert VirtualGroups_BadRange(seq, type(uint56).max);
        Object storage sender = _objects[from];
        if (seq <= sender.lastSeq) revert VirtualGroups_SeqNotRising(sender.lastSeq);
        sender.lastSeq = uint56(seq);
        emit ExchangeRecorded(gid, from, to, payloadHash, seq, epoch);
    }

    /// @inheritdoc IVirtualGroups
    function verifyCheckpoint(
        GroupId gid,
        ObjectId from,
        uint64 firstSeq,
        uint64 lastSeq,
        uint64 epoch,
        bytes32 runningHash,
        Signature calldata signature
    ) external view returns (bool) {
        if (firstSeq > lastSeq) revert VirtualGroups_BadRange(firstSeq, lastSeq);
        Object storage sender = _requireActive(from);
        Group storage group = _requireGroup(gid);
        if (sender.groupIndex != group.index) revert VirtualGroups_NotInGroup(from);
        if (epoch != group.epoch) revert VirtualGroups_StaleEpoch(group.epoch);
        _requireSigned(
            sender.account, StructHashes.checkpoint(gid, from, firstSeq, lastSeq, epoch, runningHash), signature
        );
        return true;
    }

    /// @inheritdoc IVirtualGroups
    function anchor(GroupId gid, bytes32 root, uint64 fromRecord, uint64 toRecord, Signature calldata signature)
        external
    {
        if (fromRecord > toRecord) revert VirtualGroups_BadRange(fromRecord, toRecord);
        Group storage group = _requireGroup(gid);
        _requireSigned(group.master, StructHashes.anchor(gid, root, fromRecord, toRecord), signature);
        emit Anchored(gid, root, fromRecord, toRecord, group.epoch);
    }

    // -------------------------------------------------------------------------------------------------- membership

    /// @inheritdoc IVirtualGroups
    function revoke(GroupId gid, ObjectId oid, uint64 deadline, Signature calldata signature) external {
        _requireInTime(deadline);
        Group storage group = _requireGroup(gid);
        Object storage object = _requireSlaveOf(group, oid);
        _requireSigned(group.master, StructHashes.revocation(gid, oid, deadline), signature);

        object.state = ObjectState.Revoked;
        emit Revoked(gid, oid, ++group.epoch);
    }

    /// @inheritdoc IVirtualGroups
    function rotate(
        GroupId gid,
        ObjectId oid,
        address newAddress,
        uint64 deadline,
        Signature calldata byOld,
        Signature calldata byNew
    ) external {
        _requireInTime(deadline);
        if (newAddress == address(0)) revert VirtualGroups_ZeroAddress();
        Group storage group = _requireGroup(gid);
        Object storage object = _requireSlaveOf(group, oid);
        if (checkAddr(newAddress)) revert VirtualGroups_AddressInUse(newAddress);
        bytes32 structHash = StructHashes.rotation(gid, oid, newAddress, deadline);
        _requireSigned(object.account, structHash, byOld);
        _requireSigned(newAddress, structHash, byNew);

        _moveObject(oid, newAddress);
        emit Rotated(gid, oid, newAddress, ++group.epoch);
    }

    /// @inheritdoc IVirtualGroups
    function rotateMaster(
        GroupId gid,
        address newMaster,
        uint64 deadline,
        Signature calldata byOld,
        Signature calldata byNew
    ) external {
        _requireInTime(deadline);
        if (newMaster == address(0)) revert VirtualGroups_ZeroAddress();
        Group storage group = _requireGroup(gid);
        if (checkAddr(newMaster)) revert VirtualGroups_AddressInUse(newMaster);
        bytes32 structHash = StructHashes.masterRotation(gid, newMaster, deadline);
        _requireSigned(group.master, structHash, byOld);
        _requireSigned(newMaster, structHash, byNew);

        _moveObject(objectIdOf(group.master), newMaster);
        group.master = newMaster;
        emit MasterRotated(gid, newMaster, ++group.epoch);
    }

    // ------------------------------------------------------------------------------------------------------- views

    /// @inheritdoc IVirtualGroups
    function checkOID(ObjectId oid) public view returns (bool) {
        return _objects[oid].state != ObjectState.None;
    }

    /// @inheritdoc IVirtualGroups
    function checkGID(GroupId gid) public view returns (bool) {
        return _groups[gid].index != 0;
    }

    /// @inheritdoc IVirtualGroups
    function checkAddr(address account) public view returns (bool) {
        return _objects[_tailOf(account)].groupIndex != 0; // an object or a pointer
    }

    /// @inheritdoc IVirtualGroups
    function tokenVerify(GroupId gid, ObjectId oid, address account, Signature calldata token)
        public
        view
        returns (bool)
    {
        return signVerify(_groups[gid].master, _tokenDigestOf(gid, oid, account), token);
    }

    /// @inheritdoc IVirtualGroups
    function signVerify(address signer, bytes32 digest, Signature calldata signature) public pure returns (bool) {
        address recovered = _recover(digest, signature);
        return recovered != address(0) && recovered == signer;
    }

    /// @inheritdoc IVirtualGroups
    function groupOf(GroupId gid) external view returns (Group memory) {
        return _groups[gid];
    }

    /// @inheritdoc IVirtualGroups
    function objectOf(ObjectId oid) external view returns (Object memory object) {
        if (checkOID(oid)) object = _objects[oid];
    }

    /// @inheritdoc IVirtualGroups
    function objectIdOf(address account) public view returns (ObjectId) {
        ObjectId tail = _tailOf(account);
        Object storage entry = _objects[tail];
        if (entry.state != ObjectState.None) return tail;
        return _tailOf(entry.account); // the target of a pointer, or zero
    }

    /// @inheritdoc IVirtualGroups
    function deriveGroupId(address master, bytes32 salt) public view returns (GroupId) {
        return GroupId.wrap(bytes16(keccak256(abi.encode("VirtualGroups", block.chainid, address(this), master, salt))));
    }

    /// @inheritdoc IVirtualGroups
    function domainSeparator() public view returns (bytes32) {
        return block.chainid == _chainId ? _domainSeparator : StructHashes.domain();
    }

    // ------------------------------------------------------------------------------------------------------ inside

    /// @dev Algorithm 1, the slave's branch, in its order.
    /// @return refusal The encoded error, empty where the slave was associated. So a batch need not fail as a whole, and no
    ///         call into the contract itself is needed, which a relayer could starve of gas.
    function _tryAssociate(Association calldata item) private returns (bytes memory refusal) {
        if (block.timestamp > item.deadline) {
            return abi.encodeWithSelector(VirtualGroups_DeadlinePassed.selector, item.deadline);
        }
        address account = _recover(_digestOf(StructHashes.association(item)), item.request);
        if (account == address(0)) return abi.encodeWithSelector(VirtualGroups_BadSignature.selector);
        ObjectId oid = _tailOf(account);
        refusal = _refusalOfNewcomer(oid, account);
        if (refusal.length != 0) return refusal;
        GroupId gid = item.gid;
        Group memory group = _groups[gid];
        if (group.index == 0) return abi.encodeWithSelector(VirtualGroups_UnknownGroup.selector, gid);
        if (!signVerify(group.master, _tokenDigestOf(gid, oid, account), item.token)) {
            return abi.encodeWithSelector(VirtualGroups_TokenRefused.selector);
        }

        _putObject(_objects[oid], account, group.index, ObjectState.Slave);
        emit Associated(gid, oid, account);
    }

    /// @dev checkOID, then checkAddr.
    /// @return The encoded error, empty where both are free.
    function _refusalOfNewcomer(ObjectId oid, address account) private view returns (bytes memory) {
        Object storage entry = _objects[oid];
        if (entry.groupIndex == 0) return "";
        ObjectState state = entry.state;
        if (state == ObjectState.Revoked) return abi.encodeWithSelector(VirtualGroups_ObjectRevoked.selector, oid);
        if (state != ObjectState.None) return abi.encodeWithSelector(VirtualGroups_ObjectIdInUse.selector, oid);
        return abi.encodeWithSelector(VirtualGroups_AddressInUse.selector, account); // a pointer
    }

    /// @dev Gives an object its new address and leaves a pointer to it there.
    function _moveObject(ObjectId oid, address newAddress) private {
        Object storage object = _objects[oid];
        object.account = newAddress;
        address target = address(uint160(uint128(ObjectId.unwrap(oid))));
        _putObject(_objects[_tailOf(newAddress)], target, object.groupIndex, ObjectState.None);
    }

    /// @dev Writes a whole new slot at once; the compiler would read and write it again for each member. The layout is that
    ///      of Object, `lastSeq` being 0.
    function _putObject(Object storage slot, address account, uint32 groupIndex, ObjectState state) private {
        uint256 word = uint256(uint160(account)) | (uint256(groupIndex) << 160) | (uint256(state) << 192);
        assembly ("memory-safe") {
            sstore(slot.slot, word)
        }
    }

    /// @dev The same for a Group, whose epoch begins at 1.
    function _putGroup(Group storage slot, address master, uint32 index) private {
        uint256 word = uint256(uint160(master)) | (uint256(index) << 160) | (uint256(1) << 192);
        assembly ("memory-safe") {
            sstore(slot.slot, word)
        }
    }

    function _requireInTime(uint64 deadline) private view {
        if (block.timestamp > deadline) revert VirtualGroups_DeadlinePassed(deadline);
    }

    function _requireGroup(GroupId gid) private view returns (Group storage group) {
        group = _groups[gid];
        if (group.index == 0) revert VirtualGroups_UnknownGroup(gid);
    }

    function _requireActive(ObjectId oid) private view returns (Object storage object) {
        object = _objects[oid];
        if (object.state == ObjectState.None) revert VirtualGroups_UnknownObject(oid);
        if (object.state == ObjectState.Revoked) revert VirtualGroups_ObjectRevoked(oid);
    }

    function _requireSlaveOf(Group storage group, ObjectId oid) private view returns (Object storage object) {
        object = _objects[oid];
        if (object.state == ObjectState.None) revert VirtualGroups_UnknownObject(oid);
        if (object.groupIndex != group.index) revert VirtualGroups_NotInGroup(oid);
        if (object.state == ObjectState.Revoked) revert VirtualGroups_ObjectRevoked(oid);
        if (object.state == ObjectState.Master) revert VirtualGroups_NotASlave(oid);
    }

    function _requireSigned(address signer, bytes32 structHash, Signature calldata signature) private view {
        if (!signVerify(signer, _digestOf(structHash), signature)) revert VirtualGroups_BadSignature();
    }

    function _revertIfAny(bytes memory refusal) private pure {
        if (refusal.length == 0) return;
        assembly ("memory-safe") {
            revert(add(refusal, 0x20), mload(refusal))
        }
    }

    /// @dev keccak256(0x1901 ‖ domain separator ‖ struct hash), in memory that is free again afterwards.
    function _digestOf(bytes32 structHash) private view returns (bytes32 digest) {
        bytes32 separator = domainSeparator();
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore(free, hex"1901")
            mstore(add(free, 0x02), separator)
            mstore(add(free, 0x22), structHash)
            digest := keccak256(free, 0x42)
        }
    }

    function _tokenDigestOf(GroupId gid, ObjectId oid, address account) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(gid, oid, account));
    }

    /// @return recovered Zero for a high s, r or s of zero, and whatever else recovers to nobody.
    function _recover(bytes32 digest, Signature calldata signature) private pure returns (address recovered) {
        (recovered,,) = ECDSA.tryRecover(digest, signature.r, signature.vs);
    }

    /// @dev The last 16 bytes.
    function _tailOf(address account) private pure returns (ObjectId) {
        return ObjectId.wrap(bytes16(uint128(uint160(account))));
    }
}
