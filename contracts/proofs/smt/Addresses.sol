// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Who has which address
/// @dev For SMTChecker alone: the rules of VirtualGroups for addresses and pointers, with all else left out, as queries about the
///      register itself are too large to be solved (2 MB each). Who signed is left to the caller: so what is proved
///      holds even where every signature is forged. What is watched is any: what is proved of it is proved of all.
contract Addresses {
    mapping(uint256 => uint256) private _account;
    mapping(uint256 => bool) private _isUsed;
    mapping(uint256 => bool) private _isObject;
    uint256 private _oid;
    uint256 private _otherOid;
    uint256 private _watched;
    bool private _wasUsed;

    constructor(uint256 oid, uint256 otherOid, uint256 watched) {
        _oid = oid;
        _otherOid = otherOid;
        _watched = watched;
    }

    function create(uint256 by) external {
        require(!_isUsed[by]);
        _put(by, by, true);
        _prove();
    }

    function rotate(uint256 oid, uint256 next) external {
        require(_isObject[oid]);
        require(!_isUsed[next]);
        _account[oid] = next;
        _put(next, oid, false);
        _prove();
    }

    function _put(uint256 key, uint256 account, bool isObject) private {
        _account[key] = account;
        _isUsed[key] = true;
        _isObject[key] = isObject;
        if (key == _watched) _wasUsed = true;
    }

    function _owner(uint256 by) private view returns (uint256) {
        return _isObject[by] ? by : _account[by];
    }

    function _prove() private view {
        assert(!_wasUsed || _isUsed[_watched]);
        assert(!_isObject[_oid] || _isUsed[_account[_oid]]);
        assert(!_isObject[_oid] || _owner(_account[_oid]) == _oid);
        assert(_oid == _otherOid || !_isObject[_oid] || !_isObject[_otherOid] || _account[_oid] != _account[_otherOid]);
    }
}
