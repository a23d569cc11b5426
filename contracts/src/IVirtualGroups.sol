// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @dev Name of a group: the first 16 bytes of
///      keccak256(abi.encode("VirtualGroups", chain id, contract, address of the first master, salt)).
type GroupId is bytes16;

/// @dev Name of an object (a master or a slave): the last 16 bytes of its address when it was created or associated.
type ObjectId is bytes16;

/// @title The public register of virtual groups of medical devices
/// @notice A master forms a group; slaves join it with a token that the master signed. The checks bear the names that the
///         paper gives them: checkOID, checkGID, checkAddr and tokenVerify are Algorithm 1 (the association) with the
///         token check that the paper announces as Algorithm 2; verifyExchange is Algorithm 3.
/// @dev Anyone may relay a call: `msg.sender` is never an authority. Every act is signed by whose act it is. All
///      signatures are EIP-2098; high s and a recovered address of zero are refused. A token signs
///      keccak256(gid ‖ oid ‖ address), 52 bytes; all else is EIP-712 (name "VirtualGroups", version "1"). There is no
///      owner, no upgrade and no ether.
///
///      Where several reasons hold, the first in the order of a function's documentation is the one given.
interface IVirtualGroups {
    // ------------------------------------------------------------------------------------------------------- types

    /// @notice What an object is. `Revoked` is for ever.
    enum ObjectState {
        None,
        Slave,
        Master,
        Revoked
    }

    /// @notice An ECDSA signature over secp256k1 in the 64 bytes of EIP-2098.
    /// @param r The x coordinate of the ephemeral point.
    /// @param vs The parity of its y in the top bit, s (at most n/2) in the others.
    struct Signature {
        bytes32 r;
        bytes32 vs;
    }

    /// @notice A slave's request to join.
    /// @param gid The group.
    /// @param token The master's signature over keccak256(gid ‖ oid ‖ address of the slave).
    /// @param request The slave's signature over Association(gid, token.r, token.vs, deadline).
    /// @param deadline Unix seconds; the last block time at which the request holds.
    struct Association {
        GroupId gid;
        Signature token;
        Signature request;
        uint64 deadline;
    }

    /// @notice An object as the register knows it: one storage slot.
    /// @param account Its current address. A revoked object keeps the last one.
    /// @param groupIndex The index of its group, from 1.
    /// @param state What it is.
    /// @param lastSeq The highest `seq` that recordExchange took from it.
    struct Object {
        address account;
        uint32 groupIndex;
        ObjectState state;
        uint56 lastSeq;
    }

    /// @notice A group as the register knows it: one storage slot.
    /// @param master The current address of its master.
    /// @param index Its number, from 1 in the order of creation.
    /// @param epoch 1 at its creation, and one more with each revoke, rotate and rotateMaster.
    struct Group {
        address master;
        uint32 index;
        uint64 epoch;
    }

    // ------------------------------------------------------------------------------------------------------ events

    /// @notice A group and its master's object were created.
    /// @param gid The group.
    /// @param master The master's address.
    /// @param oid The master's object.
    /// @param index The group's number, from 1.
    event GroupCreated(GroupId indexed gid, address indexed master, ObjectId oid, uint32 index);

    /// @notice A slave joined its group.
    /// @param gid The group.
    /// @param oid The slave's object.
    /// @param account The slave's address.
    event Associated(GroupId indexed gid, ObjectId indexed oid, address indexed account);

    /// @notice An item of associateBatch was refused; the others are not touched by that.
    /// @param index Its place in the batch, from 0.
    /// @param gid The group that it named.
    /// @param reason The selector of the error with which associate would have refused it.
    event AssociationRefused(uint256 indexed index, GroupId indexed gid, bytes4 reason);

    /// @notice A slave was revoked.
    /// @param gid The group.
    /// @param oid The slave's object, which never comes back.
    /// @param epoch The group's epoch from now on.
    event Revoked(GroupId indexed gid, ObjectId indexed oid, uint64 epoch);

    /// @notice A slave changed its key.
    /// @param gid The group.
    /// @param oid The slave's object, which stays the same.
    /// @param newAddress The slave's address from now on.
    /// @param epoch The group's epoch from now on.
    event Rotated(GroupId indexed gid, ObjectId indexed oid, address indexed newAddress, uint64 epoch);

    /// @notice A master changed its key.
    /// @param gid The group.
    /// @param newMaster The master's address from now on.
    /// @param epoch The group's epoch from now on.
    event MasterRotated(GroupId indexed gid, address indexed newMaster, uint64 epoch);

    /// @notice A signed exchange was recorded.
    /// @param gid The group.
    /// @param from The sender.
    /// @param to The receiver.
    /// @param payloadHash The hash of what was sent.
    /// @param seq The sender's number of it.
    /// @param epoch The group's epoch.
    event ExchangeRecorded(
        GroupId indexed gid, ObjectId indexed from, ObjectId indexed to, bytes32 payloadHash, uint64 seq, uint64 epoch
    );

    /// @notice A master committed to a range of its records.
    /// @dev Nothing is stored, so the same signed statement may be relayed again and is then logged again; it says nothing
    ///      new: a reader takes the first event of (gid, root, fromRecord, toRecord) and drops the rest.
    /// @param gid The group.
    /// @param root The root of the Merkle tree over the records.
    /// @param fromRecord The number of the first record.
    /// @param toRecord The number of the last record.
    /// @param epoch The group's epoch in the block of this event. It is not part of what the master signed.
    event Anchored(GroupId indexed gid, bytes32 root, uint64 fromRecord, uint64 toRecord, uint64 epoch);

    // ------------------------------------------------------------------------------------------------------ errors

    /// @notice The block is later than the deadline that the signer set.
    /// @param deadline Unix seconds.
    error VirtualGroups_DeadlinePassed(uint64 deadline);

    /// @notice The signature recovers to nobody, has a high s, or is not that of the one whose act it is.
    error VirtualGroups_BadSignature();

    /// @notice checkOID: the object id belongs to an object already.
    /// @param oid The object id.
    error VirtualGroups_ObjectIdInUse(ObjectId oid);

    /// @notice The object was revoked; its id never comes back.
    /// @param oid The object id.
    error VirtualGroups_ObjectRevoked(ObjectId oid);

    /// @notice checkAddr: the address is, or once was, the address of an object.
    /// @param account The address.
    error VirtualGroups_AddressInUse(address account);

    /// @notice checkGID: no such group.
    /// @param gid The group id.
    error VirtualGroups_UnknownGroup(GroupId gid);

    /// @notice checkGID: the group exists already.
    /// @param gid The group id.
    error VirtualGroups_GroupIdInUse(GroupId gid);

    /// @notice tokenVerify: the token was not signed by the group's master for this object id and address.
    error VirtualGroups_TokenRefused();

    /// @notice checkOID: no such object.
    /// @param oid The object id.
    error VirtualGroups_UnknownObject(ObjectId oid);

    /// @notice The object belongs to another group.
    /// @param oid The object id.
    error VirtualGroups_NotInGroup(ObjectId oid);

    /// @notice The signer named an epoch that is not the group's.
    /// @param current The group's epoch.
    error VirtualGroups_StaleEpoch(uint64 current);

    /// @notice The sender's `seq` is not above the last that was recorded.
    /// @param last The last recorded.
    error VirtualGroups_SeqNotRising(uint64 last);

    /// @notice The zero address is nobody's.
    error VirtualGroups_ZeroAddress();

    /// @notice The object is a master, which cannot be revoked and rotates by rotateMaster.
    /// @param oid The object id.
    error VirtualGroups_NotASlave(ObjectId oid);

    /// @notice The first number must not exceed the second: a range that ends before it begins, or a `seq` (first) above
    ///         the highest that the register can hold (second).
    /// @param first The first number.
    /// @param last The second number.
    error VirtualGroups_BadRange(uint64 first, uint64 last);

    // ----------------------------------------------------------------------------------------------- association

    /// @notice Creates a group (Algorithm 1, the master's branch). One master key has one group.
    /// @dev Order: DeadlinePassed, ZeroAddress, BadSignature, checkOID (ObjectRevoked, ObjectIdInUse), checkAddr
    ///      (AddressInUse), checkGID (GroupIdInUse). Panics with 0x11 after 2^32 - 2 groups.
    /// @param salt Any 32 bytes; they make the group id.
    /// @param master The master's address.
    /// @param deadline Unix seconds.
    /// @param signature The master's, over CreateGroup(bytes32 salt,address master,uint64 deadline).
    /// @return gid The group's id.
    function createGroup(bytes32 salt, address master, uint64 deadline, Signature calldata signature)
        external
        returns (GroupId gid);

    /// @notice Joins a slave to a group (Algorithm 1, the slave's branch). The slave's address is the one that its request
    ///         recovers to, and its object id is derived from that: nobody can ask in another's name.
    /// @dev Order: DeadlinePassed, BadSignature (the request recovers to nobody), checkOID (ObjectRevoked, ObjectIdInUse),
    ///      checkAddr (AddressInUse), checkGID (UnknownGroup), tokenVerify (TokenRefused).
    /// @param item The request.
    function associate(Association calldata item) external;

    /// @notice Joins many slaves. A refused item is an AssociationRefused event and stops no other.
    /// @param items The requests.
    function associateBatch(Association[] calldata items) external;

    // ---------------------------------------------------------------------------------------------------- evidence

    /// @notice Verifies a signed exchange (Algorithm 3).
    /// @dev Order: the sender's id, then the receiver's (UnknownObject, ObjectRevoked), UnknownGroup, NotInGroup (sender,
    ///      then receiver), StaleEpoch, BadSignature (the signer is not the sender's current address).
    /// @param gid The group.
    /// @param from The sender.
    /// @param to The receiver.
    /// @param payloadHash The hash of what was sent.
    /// @param seq The sender's number of it.
    /// @param epoch The group's epoch.
    /// @param signature The sender's, over
    ///        Exchange(bytes16 gid,bytes16 from,bytes16 to,bytes32 payloadHash,uint64 seq,uint64 epoch).
    /// @return True; otherwise it reverts with the reason.
    function verifyExchange(
        GroupId gid,
        ObjectId from,
        ObjectId to,
        bytes32 payloadHash,
        uint64 seq,
        uint64 epoch,
        Signature calldata signature
    ) external view returns (bool);

    /// @notice Verifies a signed exchange as verifyExchange does, and records it.
    /// @dev Order: as verifyExchange, then BadRange (`seq` above 2^56 - 1), SeqNotRising.
    /// @param gid The group.
    /// @param from The sender.
    /// @param to The receiver.
    /// @param payloadHash The hash of what was sent.
    /// @param seq The sender's number of it: above the last recorded one, at most 2^56 - 1. Gaps are allowed.
    /// @param epoch The group's epoch.
    /// @param signature The sender's, over the same struct as in verifyExchange.
    function recordExchange(
        GroupId gid,
        ObjectId from,
        ObjectId to,
        bytes32 payloadHash,
        uint64 seq,
        uint64 epoch,
        Signature calldata signature
    ) external;

    /// @notice Verifies a sender's signature over a run of its records.
    /// @dev Order: BadRange, the sender's id (UnknownObject, ObjectRevoked), UnknownGroup, NotInGroup, StaleEpoch,
    ///      BadSignature.
    /// @param gid The group.
    /// @param from The sender.
    /// @param firstSeq The first record's number.
    /// @param lastSeq The last record's number.
    /// @param epoch The group's epoch.
    /// @param runningHash The hash over the run.
    /// @param signature The sender's, over
    ///        Checkpoint(bytes16 gid,bytes16 from,uint64 firstSeq,uint64 lastSeq,uint64 epoch,bytes32 runningHash).
    /// @return True; otherwise it reverts with the reason.
    function verifyCheckpoint(
        GroupId gid,
        ObjectId from,
        uint64 firstSeq,
        uint64 lastSeq,
        uint64 epoch,
        bytes32 runningHash,
        Signature calldata signature
    ) external view returns (bool);

    /// @notice Logs a master's commitment to a range of its records. Nothing is stored.
    /// @dev Order: BadRange, UnknownGroup, BadSignature.
    /// @param gid The group.
    /// @param root The root of the Merkle tree over the records.
    /// @param fromRecord The number of the first record.
    /// @param toRecord The number of the last record.
    /// @param signature The master's, over Anchor(bytes16 gid,bytes32 root,uint64 fromRecord,uint64 toRecord).
    function anchor(GroupId gid, bytes32 root, uint64 fromRecord, uint64 toRecord, Signature calldata signature)
        external;

    // -------------------------------------------------------------------------------------------------- membership

    /// @notice Revokes a slave for ever and raises the group's epoch. An id that never associated cannot be revoked:
    ///         otherwise any master could block any device.
    /// @dev Order: DeadlinePassed, UnknownGroup, UnknownObject, NotInGroup, ObjectRevoked, NotASlave, BadSignature.
    /// @param gid The group.
    /// @param oid The slave.
    /// @param deadline Unix seconds.
    /// @param signature The master's, over Revocation(bytes16 gid,bytes16 oid,uint64 deadline).
    function revoke(GroupId gid, ObjectId oid, uint64 deadline, Signature calldata signature) external;

    /// @notice Gives a slave a new key and raises the group's epoch. Its id, group and last `seq` stay; its old address
    ///         never comes back.
    /// @dev Order: DeadlinePassed, ZeroAddress, UnknownGroup, UnknownObject, NotInGroup, ObjectRevoked, NotASlave,
    ///      AddressInUse, BadSignature (old key, then new key).
    /// @param gid The group.
    /// @param oid The slave.
    /// @param newAddress The address of its new key.
    /// @param deadline Unix seconds.
    /// @param byOld The current key's, over Rotation(bytes16 gid,bytes16 oid,address newAddress,uint64 deadline).
    /// @param byNew The new key's, over the same.
    function rotate(
        GroupId gid,
        ObjectId oid,
        address newAddress,
        uint64 deadline,
        Signature calldata byOld,
        Signature calldata byNew
    ) external;

    /// @notice Gives a master a new key and raises the group's epoch. The group's id, the master's object id and every
    ///         membership stay; tokens of the old key no longer admit.
    /// @dev Order: DeadlinePassed, ZeroAddress, UnknownGroup, AddressInUse, BadSignature (old key, then new key).
    /// @param gid The group.
    /// @param newMaster The address of the new key.
    /// @param deadline Unix seconds.
    /// @param byOld The current key's, over MasterRotation(bytes16 gid,address newMaster,uint64 deadline).
    /// @param byNew The new key's, over the same.
    function rotateMaster(
        GroupId gid,
        address newMaster,
        uint64 deadline,
        Signature calldata byOld,
        Signature calldata byNew
    ) external;

    // ------------------------------------------------------------------------------------------------------- views

    /// @notice The paper's checkOID.
    /// @param oid An object id.
    /// @return Whether it is used: by a slave, a master or a revoked object.
    function checkOID(ObjectId oid) external view returns (bool);

    /// @notice The paper's checkGID.
    /// @param gid A group id.
    /// @return Whether a group has it.
    function checkGID(GroupId gid) external view returns (bool);

    /// @notice The paper's checkAddr.
    /// @param account An address.
    /// @return Whether it is, or once was, the address of an object. Such an address can never be taken again.
    function checkAddr(address account) external view returns (bool);

    /// @notice The paper's tokenVerify.
    /// @param gid The group.
    /// @param oid The object id that the token names.
    /// @param account The address that the token names.
    /// @param token The signature.
    /// @return Whether the group exists and its current master signed the token.
    function tokenVerify(GroupId gid, ObjectId oid, address account, Signature calldata token)
        external
        view
        returns (bool);

    /// @notice The paper's SignVeri.
    /// @param signer The address that should have signed.
    /// @param digest The 32 bytes that were signed.
    /// @param signature The signature.
    /// @return Whether it is the signer's, with a low s. Nothing is ever the zero address's.
    function signVerify(address signer, bytes32 digest, Signature calldata signature) external pure returns (bool);

    /// @notice A group, all zero where there is none.
    /// @param gid The group id.
    /// @return The group.
    function groupOf(GroupId gid) external view returns (Group memory);

    /// @notice An object, all zero where there is none.
    /// @param oid The object id.
    /// @return The object.
    function objectOf(ObjectId oid) external view returns (Object memory);

    /// @notice The object whose current or former address this is. It is the current one where
    ///         `objectOf(oid).account == account`.
    /// @param account An address.
    /// @return The object's id, zero where there is none.
    function objectIdOf(address account) external view returns (ObjectId);

    /// @notice The id that createGroup gives, on this chain and contract.
    /// @param master The master's address.
    /// @param salt The salt.
    /// @return The group's id.
    function deriveGroupId(address master, bytes32 salt) external view returns (GroupId);

    /// @notice The EIP-712 domain separator, for the chain id of now.
    /// @return keccak256 of the encoded domain.
    function domainSeparator() external view returns (bytes32);
}
