// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The life of a group
/// @dev For SMTChecker alone: the rules of VirtualGroups for indexes and epochs, with all else left out, as queries about the
///      register itself are too large to be solved (2 MB each). Who signed is left to the caller: so what is proved
///      holds even where every signature is forged. What is watched is any: what is proved of it is proved of all.
contract Groups {
    mapping(uint256 => uint256) private _index;
    mapping(uint256 => uint256) private _epoch;
    uint32 private _nextIndex = 1;
    uint256 private _gid;
    uint256 private _otherGid;
    uint256 private _acts;
    uint256 private _first;

    constructor(uint256 gid, uint256 otherGid) {
        _gid = gid;
        _otherGid = otherGid;
    }

    function createGroup(uint256 gid) external {
        require(_index[gid] == 0);
        uint32 number = _nextIndex;
        _nextIndex = number + 1;
        _index[gid] = number;
        _epoch[gid] = 1;
        if (gid == _gid) _first = number;
        _prove();
    }

    function raise(uint256 gid) external {
        require(_index[gid] != 0);
        _epoch[gid] += 1;
        if (gid == _gid) _acts += 1;
        _prove();
    }

    function _prove() private view {
        assert(_index[_gid] < _nextIndex);
        assert(_index[_gid] == _first);
        assert(_index[_gid] == 0 || _epoch[_gid] == _acts + 1);
        assert(_gid == _otherGid || _index[_gid] == 0 || _index[_gid] != _index[_otherGid]);
    }
}
