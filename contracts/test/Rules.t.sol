// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {GroupId, IVirtualGroups, ObjectId} from "../src/IVirtualGroups.sol";
import {VirtualGroups} from "../src/VirtualGroups.sol";
import {Signing} from "./Signing.sol";

/// @title Acts with right and wrong signers, and keeps books of its own on what the register should hold
/// @dev The rules are those of tests/contract/register_model.py. A call that succeeds or fails against the books is
///      remembered in `broken`, as an assertion here would only revert the call.
contract Bookkeeper is Signing {
    struct Said {
        ObjectId from;
        ObjectId to;
        uint64 seq;
        uint64 epoch;
        uint256 signer;
    }

    uint256 public constant KEYS = 8;
    uint256 public constant GROUPS = 2;

    mapping(ObjectId => IVirtualGroups.Object) private _objects;
    mapping(ObjectId => ObjectId) public ownerOf;
    IVirtualGroups.Group[] private _groups;
    GroupId[] public gids;
    mapping(address => uint256) private _keyOf;
    bool public broken;

    constructor() {
        _deploy();
        for (uint256 i = 0; i < KEYS; ++i) {
            _keyOf[vm.addr(key(i))] = key(i);
        }
        for (uint32 i = 0; i < GROUPS; ++i) {
            address account = vm.addr(key(i));
            gids.push(register.createGroup(0, account, DEADLINE, _signCreateGroup(key(i), 0, account, DEADLINE)));
            _groups.push(IVirtualGroups.Group(account, i + 1, 1));
            _enter(_oid(key(i)), account, i + 1, IVirtualGroups.ObjectState.Master);
        }
    }

    function theRegister() external view returns (VirtualGroups) {
        return register;
    }

    function key(uint256 seed) public pure returns (uint256) {
        return 0xE000 + (seed % KEYS);
    }

    function objectOf(ObjectId oid) external view returns (IVirtualGroups.Object memory) {
        return _objects[oid];
    }

    function groupAt(uint256 place) external view returns (IVirtualGroups.Group memory) {
        return _groups[place];
    }

    // acts; a `slip` of 1 in 4 takes a wrong signer

    function associate(uint256 g, uint256 slave, uint256 slip) public {
        (IVirtualGroups.Association memory item, bool good) = _item(g, slave, slip);
        try register.associate(item) {
            _settle(good, true);
        } catch {
            _settle(good, false);
        }
        if (good) _joined(g, slave);
    }

    function associateBatch(uint256 g, uint256 slave, uint256 other, uint256 slip) external {
        IVirtualGroups.Association[] memory items = new IVirtualGroups.Association[](2);
        bool good;
        (items[0], good) = _item(g, slave, slip);
        if (good) _joined(g, slave);
        (items[1], good) = _item(g, other, slip >> 2);
        if (good) _joined(g, other);
        try register.associateBatch(items) {}
        catch {
            broken = true;
        }
    }

    function recordExchange(uint256 g, uint256 from, uint256 to, uint64 seq, uint64 epochSlip, uint256 slip) external {
        IVirtualGroups.Group storage group = _groups[g % GROUPS];
        Said memory said = Said(_oid(key(from)), _oid(key(to)), 0, group.epoch + (epochSlip % 4 == 0 ? 1 : 0), 0);
        said.seq = seq % 8 == 0 ? 2 ** 56 - 2 + (seq >> 3) % 4 : seq % 40;
        IVirtualGroups.Object storage sender = _objects[said.from];
        said.signer = _signer(sender.account, from, slip);
        bool good = _isActive(said.from, group.index) && _isActive(said.to, group.index) && said.epoch == group.epoch
            && vm.addr(said.signer) == sender.account && said.seq > sender.lastSeq && said.seq < 2 ** 56;
        _settle(good, _isRecorded(gids[g % GROUPS], said));
        if (good) sender.lastSeq = uint56(said.seq);
    }

    function _isRecorded(GroupId gid, Said memory said) private returns (bool) {
        IVirtualGroups.Signature memory signature =
            _signExchange(said.signer, gid, said.from, said.to, said.seq, said.epoch);
        try register.recordExchange(gid, said.from, said.to, keccak256("payload"), said.seq, said.epoch, signature) {
            return true;
        } catch {
            return false;
        }
    }

    function revoke(uint256 g, uint256 slave, uint256 slip) external {
        ObjectId oid = _oid(key(slave));
        IVirtualGroups.Group storage group = _groups[g % GROUPS];
        uint256 signer = _signer(group.master, slave, slip);
        bool good = _isSlave(oid, group.index) && vm.addr(signer) == group.master;
        try register.revoke(gids[g % GROUPS], oid, DEADLINE, _signRevocation(signer, gids[g % GROUPS], oid)) {
            _settle(good, true);
        } catch {
            _settle(good, false);
        }
        if (!good) return;
        _objects[oid].state = IVirtualGroups.ObjectState.Revoked;
        ++group.epoch;
    }

    function rotate(uint256 g, uint256 slave, uint256 next, uint256 slip) external {
        ObjectId oid = _oid(key(slave));
        address account = vm.addr(key(next));
        IVirtualGroups.Group storage group = _groups[g % GROUPS];
        uint256 old = _signer(_objects[oid].account, next, slip);
        uint256 byNew = _signer(account, slave, slip >> 2);
        bool good = _isSlave(oid, group.index) && _isFree(account) && vm.addr(old) == _objects[oid].account;
        good = good && vm.addr(byNew) == account;
        _settle(good, _isRotated(gids[g % GROUPS], oid, account, old, byNew));
        if (good) _moved(group, oid, account);
    }

    function rotateMaster(uint256 g, uint256 next, uint256 slip) external {
        address account = vm.addr(key(next));
        IVirtualGroups.Group storage group = _groups[g % GROUPS];
        uint256 old = _signer(group.master, next, slip);
        uint256 byNew = _signer(account, g, slip >> 2);
        bool good = _isFree(account) && vm.addr(old) == group.master && vm.addr(byNew) == account;
        _settle(good, _isMasterRotated(gids[g % GROUPS], account, old, byNew));
        if (!good) return;
        _moved(group, ownerOf[_tail(group.master)], account);
        group.master = account;
    }

    function _isRotated(GroupId gid, ObjectId oid, address account, uint256 old, uint256 next) private returns (bool) {
        IVirtualGroups.Signature memory byOld = _signRotation(old, gid, oid, account);
        IVirtualGroups.Signature memory byNew = _signRotation(next, gid, oid, account);
        try register.rotate(gid, oid, account, DEADLINE, byOld, byNew) {
            return true;
        } catch {
            return false;
        }
    }

    function _isMasterRotated(GroupId gid, address account, uint256 old, uint256 next) private returns (bool) {
        IVirtualGroups.Signature memory byOld = _signMasterRotation(old, gid, account);
        IVirtualGroups.Signature memory byNew = _signMasterRotation(next, gid, account);
        try register.rotateMaster(gid, account, DEADLINE, byOld, byNew) {
            return true;
        } catch {
            return false;
        }
    }

    // the books

    function _item(uint256 g, uint256 slave, uint256 slip)
        private
        view
        returns (IVirtualGroups.Association memory item, bool good)
    {
        IVirtualGroups.Group storage group = _groups[g % GROUPS];
        uint256 signer = _signer(group.master, slave, slip);
        good = _isFree(vm.addr(key(slave))) && vm.addr(signer) == group.master;
        item = _request(gids[g % GROUPS], _token(signer, gids[g % GROUPS], key(slave)), key(slave), DEADLINE);
    }

    function _joined(uint256 g, uint256 slave) private {
        _enter(_oid(key(slave)), vm.addr(key(slave)), _groups[g % GROUPS].index, IVirtualGroups.ObjectState.Slave);
    }

    function _enter(ObjectId oid, address account, uint32 index, IVirtualGroups.ObjectState state) private {
        _objects[oid] = IVirtualGroups.Object(account, index, state, 0);
        ownerOf[oid] = oid;
    }

    function _moved(IVirtualGroups.Group storage group, ObjectId oid, address account) private {
        _objects[oid].account = account;
        ownerOf[_tail(account)] = oid;
        ++group.epoch;
    }

    function _settle(bool good, bool happened) private {
        if (good != happened) broken = true;
    }

    function _signer(address right, uint256 wrong, uint256 slip) private view returns (uint256) {
        return slip % 4 == 0 || _keyOf[right] == 0 ? key(wrong) : _keyOf[right];
    }

    function _isFree(address account) private view returns (bool) {
        return ObjectId.unwrap(ownerOf[_tail(account)]) == 0;
    }

    function _isSlave(ObjectId oid, uint32 index) private view returns (bool) {
        return _objects[oid].state == IVirtualGroups.ObjectState.Slave && _objects[oid].groupIndex == index;
    }

    function _isActive(ObjectId oid, uint32 index) private view returns (bool) {
        bool isMaster = _objects[oid].state == IVirtualGroups.ObjectState.Master;
        return _isSlave(oid, index) || (isMaster && _objects[oid].groupIndex == index);
    }

    function _tail(address account) private pure returns (ObjectId) {
        return ObjectId.wrap(bytes16(uint128(uint160(account))));
    }
}

/// @title The register does what the rules say, neither less nor more
contract RulesTest is Signing {
    Bookkeeper private _books;

    function setUp() public {
        _books = new Bookkeeper();
        register = _books.theRegister();
    }

    function targetContracts() external view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_books);
    }

    function invariant_theRegisterAgreesWithTheBooks() public view {
        vm.assertFalse(_books.broken());
        for (uint256 i = 0; i < _books.GROUPS(); ++i) {
            bytes memory group = abi.encode(register.groupOf(_books.gids(i)));
            vm.assertEq(keccak256(group), keccak256(abi.encode(_books.groupAt(i))));
        }
        for (uint256 i = 0; i < _books.KEYS(); ++i) {
            ObjectId oid = _oid(_books.key(i));
            address account = vm.addr(_books.key(i));
            bytes memory object = abi.encode(register.objectOf(oid));
            vm.assertEq(keccak256(object), keccak256(abi.encode(_books.objectOf(oid))));
            bytes16 owner = ObjectId.unwrap(_books.ownerOf(oid));
            vm.assertEq(bytes32(ObjectId.unwrap(register.objectIdOf(account))), bytes32(owner));
            vm.assertTrue(register.checkAddr(account) == (owner != 0));
            vm.assertTrue(register.checkOID(oid) == (owner == ObjectId.unwrap(oid)));
        }
    }
}
