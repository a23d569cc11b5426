/// @dev For SMTChecker alone; tools/chc_register.py puts the register itself before it. An object is watched, which may be any, and
///      looked at whenever the caller likes: what was seen must still hold at the next look, whatever was done between.
contract RegisterObjects is VirtualGroups {
    ObjectId private _watched;
    uint32 private _group;
    uint56 private _seq;
    bool private _wasRevoked;
    bool private _wasMaster;

    constructor(ObjectId watched) {
        _watched = watched;
    }

    function look() external {
        Object memory seen = _objects[_watched];
        assert(_group == 0 || seen.groupIndex == _group);
        assert(!_wasRevoked || seen.state == ObjectState.Revoked);
        assert(seen.lastSeq >= _seq);
        assert(!_wasMaster || seen.state == ObjectState.Master);
        _group = seen.groupIndex;
        _seq = seen.lastSeq;
        _wasRevoked = seen.state == ObjectState.Revoked;
        _wasMaster = seen.state == ObjectState.Master;
    }
}
