// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The rules of VirtualGroups without its bytes, for SMTChecker
/// @notice CHC decides nothing about the register itself: assembly, hashes and error data make queries of megabytes. Here
///         the rules stand alone. A signature is the address that it recovers to, which the caller may choose freely: so
///         what is proved holds even where every signature can be forged, but for `admitted`, which records consent.
///         tests/contract/test_smt.py drives this model and the register with the same acts and compares them.
/// @dev The constructor takes two objects, two groups and an address to watch. As they are arbitrary, what is proved
///      of them is proved of all; this keeps quantifiers out of the invariants that the solver has to find.
contract RegisterModel {
    uint8 public constant NONE = 0;
    uint8 public constant SLAVE = 1;
    uint8 public constant MASTER = 2;
    uint8 public constant REVOKED = 3;

    mapping(uint128 => address) public account;
    mapping(uint128 => uint32) public groupIndex;
    mapping(uint128 => uint8) public state;
    mapping(uint128 => uint56) public lastSeq;
    mapping(uint128 => address) public master;
    mapping(uint128 => uint32) public index;
    mapping(uint128 => uint64) public epoch;
    uint32 public nextIndex = 1;

    uint128 private immutable _oid;
    uint128 private immutable _otherOid;
    uint128 private immutable _gid;
    uint128 private immutable _otherGid;
    address private immutable _address;

    bool private _wasRevoked; // _oid was
    bool private _admitted; // the master of the group that _oid joined had signed its token
    bool private _wasMaster; // _oid formed a group
    bool private _wasUsed; // _address belonged to an object
    uint32 private _oidsGroup; // the index that _oid got, 0 before
    uint32 private _gidsIndex; // the index that _gid got, 0 before
    uint56 private _highestSeq; // of _oid
    uint64 private _acts; // successful acts on _gid that raise its epoch

    constructor(uint128 oid, uint128 otherOid, uint128 gid, uint128 otherGid, address watched) {
        _oid = oid;
        _otherOid = otherOid;
        _gid = gid;
        _otherGid = otherGid;
        _address = watched;
    }

    // ---------------------------------------------------------------------------------------------------- the rules

    function createGroup(uint128 gid, address by, address signer) external {
        require(by != address(0) && signer == by);
        uint128 oid = _tailOf(by);
        require(groupIndex[oid] == 0);
        require(index[gid] == 0);
        uint32 number = nextIndex;
        nextIndex = number + 1;
        master[gid] = by;
        index[gid] = number;
        epoch[gid] = 1;
        _put(oid, by, number, MASTER);
        if (oid == _oid) _wasMaster = true;
        if (gid == _gid) _gidsIndex = number;
    }

    function associate(uint128 gid, address requester, address tokenSigner) external {
        require(requester != address(0));
        uint128 oid = _tailOf(requester);
        require(groupIndex[oid] == 0);
        require(index[gid] != 0);
        require(tokenSigner != address(0) && tokenSigner == master[gid]);
        _put(oid, requester, index[gid], SLAVE);
        if (oid == _oid) _admitted = true;
    }

    function recordExchange(uint128 gid, uint128 from, uint128 to, uint64 seq, uint64 ofEpoch, address signer) external {
        require(state[from] != NONE && state[from] != REVOKED);
        require(state[to] != NONE && state[to] != REVOKED);
        require(index[gid] != 0);
        require(groupIndex[from] == index[gid] && groupIndex[to] == index[gid]);
        require(ofEpoch == epoch[gid]);
        require(signer != address(0) && signer == account[from]);
        require(seq <= type(uint56).max && seq > lastSeq[from]);
        lastSeq[from] = uint56(seq);
        if (from == _oid) {
            assert(seq > _highestSeq); // no record is taken twice
            assert(!_wasRevoked); // and none of a revoked sender
            _highestSeq = uint56(seq);
        }
        if (to == _oid) assert(!_wasRevoked);
    }

    function revoke(uint128 gid, uint128 oid, address signer) external {
        _requireSlaveOf(gid, oid);
        require(signer != address(0) && signer == master[gid]);
        state[oid] = REVOKED;
        _raise(gid);
        if (oid == _oid) _wasRevoked = true;
    }

    function rotate(uint128 gid, uint128 oid, address next, address byOld, address byNew) external {
        require(next != address(0));
        _requireSlaveOf(gid, oid);
        require(groupIndex[_tailOf(next)] == 0);
        require(byOld != address(0) && byOld == account[oid] && byNew == next);
        if (oid == _oid) assert(!_wasRevoked);
        _move(oid, next);
        _raise(gid);
    }

    function rotateMaster(uint128 gid, address next, address byOld, address byNew) external {
        require(next != address(0));
        require(index[gid] != 0);
        require(groupIndex[_tailOf(next)] == 0);
        require(byOld != address(0) && byOld == master[gid] && byNew == next);
        _move(objectIdOf(master[gid]), next);
        master[gid] = next;
        _raise(gid);
    }

    function objectIdOf(address by) public view returns (uint128) {
        uint128 tail = _tailOf(by);
        return state[tail] != NONE ? tail : _tailOf(account[tail]);
    }

    // ------------------------------------------------------------------------------------------ what is to be proved

    function provesNoGroupHasIndexZero() external view {
        assert(nextIndex >= 1);
    }

    function provesRevokedStaysRevoked() external view {
        assert(!_wasRevoked || state[_oid] == REVOKED);
    }

    function provesOnlyRevokeRevokes() external view {
        assert(_wasRevoked || state[_oid] != REVOKED);
    }

    function provesSlavesHadAToken() external view {
        assert(state[_oid] != SLAVE || _admitted);
    }

    function provesMastersFormedAGroup() external view {
        assert(state[_oid] != MASTER || _wasMaster);
    }

    function provesNoObjectIsSlaveAndMaster() external view {
        assert(!(_admitted && _wasMaster));
    }

    function provesSlotsAreNeverCleared() external view {
        assert(!_wasUsed || groupIndex[_tailOf(_address)] != 0);
    }

    function provesObjectsKeepTheirGroup() external view {
        assert(_oidsGroup == 0 || groupIndex[_oid] == _oidsGroup);
    }

    function provesGroupsKeepTheirIndex() external view {
        assert(index[_gid] == _gidsIndex);
    }

    function provesEveryActRaisesTheEpochByOne() external view {
        assert(index[_gid] == 0 || epoch[_gid] == _acts + 1);
    }

    function provesLastSeqIsTheHighest() external view {
        assert(state[_oid] == NONE || lastSeq[_oid] == _highestSeq);
    }

    function provesIndexesAreBelowTheNext() external view {
        assert(index[_gid] < nextIndex);
    }

    function provesNoTwoGroupsShareAnIndex() external view {
        assert(_gid == _otherGid || index[_gid] == 0 || index[_gid] != index[_otherGid]);
    }

    function provesGroupsHaveAMaster() external view {
        assert(index[_gid] == 0 || master[_gid] != address(0));
    }

    function provesObjectsHaveAnAddress() external view {
        assert(state[_oid] == NONE || account[_oid] != address(0));
    }

    function provesAnObjectIsFoundByItsAddress() external view {
        assert(state[_oid] == NONE || objectIdOf(account[_oid]) == _oid);
    }

    function provesNoTwoObjectsShareAnAddress() external view {
        assert(
            _oid == _otherOid || state[_oid] == NONE || state[_otherOid] == NONE || account[_oid] != account[_otherOid]
        );
    }

    function provesAGroupsMasterIsAMasterOfIt() external view {
        uint128 oid = objectIdOf(master[_gid]);
        assert(index[_gid] == 0 || (state[oid] == MASTER && groupIndex[oid] == index[_gid]));
    }

    // ------------------------------------------------------------------------------------------------------- inside

    function _put(uint128 key, address by, uint32 number, uint8 kind) private {
        account[key] = by;
        groupIndex[key] = number;
        state[key] = kind;
        lastSeq[key] = 0;
        if (key == _oid) _oidsGroup = number;
        if (key == _tailOf(_address)) _wasUsed = true;
    }

    function _move(uint128 oid, address next) private {
        account[oid] = next;
        _put(_tailOf(next), address(uint160(oid)), groupIndex[oid], NONE);
    }

    function _raise(uint128 gid) private {
        epoch[gid] += 1;
        if (gid == _gid) _acts += 1;
    }

    function _requireSlaveOf(uint128 gid, uint128 oid) private view {
        require(index[gid] != 0);
        require(state[oid] == SLAVE && groupIndex[oid] == index[gid]);
    }

    function _tailOf(address by) private pure returns (uint128) {
        return uint128(uint160(by));
    }
}
