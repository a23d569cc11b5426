// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The numbers of records
/// @dev For SMTChecker alone: the rules of VirtualGroups for recordExchange, with all else left out, as queries about the
///      register itself are too large to be solved (2 MB each). Who signed is left to the caller: so what is proved
///      holds even where every signature is forged. What is watched is any: what is proved of it is proved of all.
contract Records {
    mapping(uint256 => uint8) private _state;
    mapping(uint256 => uint256) private _last;
    uint256 private _oid;
    bool private _wasRevoked;
    uint256 private _highest;

    constructor(uint256 oid) {
        _oid = oid;
    }

    function join(uint256 oid) external {
        require(_state[oid] == 0);
        _state[oid] = 1;
        _last[oid] = 0;
    }

    function revoke(uint256 oid) external {
        require(_state[oid] == 1);
        _state[oid] = 3;
        if (oid == _oid) _wasRevoked = true;
    }

    function record(uint256 from, uint256 to, uint64 seq) external {
        require(_state[from] != 0 && _state[from] != 3);
        require(_state[to] != 0 && _state[to] != 3);
        require(seq <= type(uint56).max && seq > _last[from]);
        _last[from] = seq;
        if (from == _oid) {
            assert(seq > _highest);
            _highest = seq;
        }
        assert(!_wasRevoked || (from != _oid && to != _oid));
        assert(_last[_oid] == _highest);
    }
}
