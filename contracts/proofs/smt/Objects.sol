// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The life of an object
/// @dev For SMTChecker alone: the rules of VirtualGroups for states and memberships, with all else left out, as queries about the
///      register itself are too large to be solved (2 MB each). Who signed is left to the caller: so what is proved
///      holds even where every signature is forged. What is watched is any: what is proved of it is proved of all.
contract Objects {
    uint8 private constant NONE = 0;
    uint8 private constant SLAVE = 1;
    uint8 private constant MASTER = 2;
    uint8 private constant REVOKED = 3;

    mapping(uint256 => uint8) private _state;
    mapping(uint256 => uint256) private _groupIndex;
    uint256 private _oid;
    bool private _wasRevoked;
    bool private _admitted;
    bool private _wasMaster;
    uint256 private _oidsGroup;

    constructor(uint256 oid) {
        _oid = oid;
    }

    function createGroup(uint256 oid, uint256 number) external {
        require(_groupIndex[oid] == 0 && number != 0);
        _put(oid, number, MASTER);
        if (oid == _oid) _wasMaster = true;
        _prove();
    }

    function associate(uint256 oid, uint256 number, bool token) external {
        require(_groupIndex[oid] == 0 && number != 0 && token);
        _put(oid, number, SLAVE);
        if (oid == _oid) _admitted = true;
        _prove();
    }

    function revoke(uint256 number, uint256 oid) external {
        require(_state[oid] == SLAVE && _groupIndex[oid] == number);
        _state[oid] = REVOKED;
        if (oid == _oid) _wasRevoked = true;
        _prove();
    }

    function rotate(uint256 number, uint256 oid, uint256 next) external {
        require(_state[oid] == SLAVE && _groupIndex[oid] == number);
        require(_groupIndex[next] == 0);
        _put(next, number, NONE);
        _prove();
    }

    function _put(uint256 key, uint256 number, uint8 kind) private {
        _groupIndex[key] = number;
        _state[key] = kind;
        if (key == _oid) _oidsGroup = number;
    }

    function _prove() private view {
        assert(!_wasRevoked || _state[_oid] == REVOKED);
        assert(_wasRevoked || _state[_oid] != REVOKED);
        assert(_state[_oid] != SLAVE || _admitted);
        assert(_groupIndex[_oid] == _oidsGroup);
        assert(!(_admitted && _wasMaster));
    }
}
