// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {GroupId, IVirtualGroups, ObjectId} from "../src/IVirtualGroups.sol";
import {Scenario} from "./Scenario.sol";

/// @title verifyExchange, recordExchange (Algorithm 3), verifyCheckpoint and anchor
/// @dev The revoked slave of the scenario has raised the epoch to 2.
contract EvidenceTest is Scenario {
    bytes32 private constant PAYLOAD = keccak256("payload");
    bytes32 private constant RUN = keccak256("run");
    bytes32 private constant ROOT = keccak256("root");

    function _exchange(uint256 key, GroupId group, ObjectId from, ObjectId to, uint64 seq, uint64 epoch) private {
        IVirtualGroups.Signature memory signature = _signExchange(key, group, from, to, seq, epoch);
        register.recordExchange(group, from, to, PAYLOAD, seq, epoch, signature);
    }

    function _checkpoint(uint256 key, GroupId group, ObjectId from, uint64 first, uint64 last, uint64 epoch)
        private
        view
        returns (bool)
    {
        IVirtualGroups.Signature memory signature = _signCheckpoint(key, group, from, first, last, epoch);
        return register.verifyCheckpoint(group, from, first, last, epoch, RUN, signature);
    }

    function test_verifyExchange_ofAMember() public view {
        IVirtualGroups.Signature memory signature = _signExchange(SLAVE, gid, _oid(SLAVE), _oid(MASTER), 1, 2);
        vm.assertTrue(register.verifyExchange(gid, _oid(SLAVE), _oid(MASTER), PAYLOAD, 1, 2, signature));
    }

    function test_recordExchange_raisesSeq() public {
        vm.expectEmit();
        emit IVirtualGroups.ExchangeRecorded(gid, _oid(SLAVE), _oid(MASTER), PAYLOAD, 7, 2);
        _exchange(SLAVE, gid, _oid(SLAVE), _oid(MASTER), 7, 2);
        vm.assertEq(register.objectOf(_oid(SLAVE)).lastSeq, 7);
    }

    function test_recordExchange_unknownSenderAndReceiver() public {
        _refuse(IVirtualGroups.VirtualGroups_UnknownObject.selector, NOBODY);
        _exchange(SLAVE, gid, NOBODY, _oid(MASTER), 1, 2);
        _refuse(IVirtualGroups.VirtualGroups_UnknownObject.selector, NOBODY);
        _exchange(SLAVE, gid, _oid(SLAVE), NOBODY, 1, 2);
    }

    function test_recordExchange_revokedSenderAndReceiver() public {
        _refuse(IVirtualGroups.VirtualGroups_ObjectRevoked.selector, _oid(REVOKED));
        _exchange(REVOKED, gid, _oid(REVOKED), _oid(MASTER), 1, 2);
        _refuse(IVirtualGroups.VirtualGroups_ObjectRevoked.selector, _oid(REVOKED));
        _exchange(SLAVE, gid, _oid(SLAVE), _oid(REVOKED), 1, 2);
    }

    function test_recordExchange_unknownGroup() public {
        _refuse(IVirtualGroups.VirtualGroups_UnknownGroup.selector, NO_GROUP);
        _exchange(SLAVE, NO_GROUP, _oid(SLAVE), _oid(MASTER), 1, 2);
    }

    function test_recordExchange_acrossGroups() public {
        _refuse(IVirtualGroups.VirtualGroups_NotInGroup.selector, _oid(SLAVE));
        _exchange(SLAVE, otherGid, _oid(SLAVE), _oid(OTHER_MASTER), 1, 1);
        _refuse(IVirtualGroups.VirtualGroups_NotInGroup.selector, _oid(OTHER_MASTER));
        _exchange(SLAVE, gid, _oid(SLAVE), _oid(OTHER_MASTER), 1, 2);
    }

    function test_recordExchange_staleEpoch() public {
        _refuse(IVirtualGroups.VirtualGroups_StaleEpoch.selector, 2);
        _exchange(SLAVE, gid, _oid(SLAVE), _oid(MASTER), 1, 1);
    }

    function test_recordExchange_signedByAnother() public {
        _refuse(IVirtualGroups.VirtualGroups_BadSignature.selector);
        _exchange(MASTER, gid, _oid(SLAVE), _oid(MASTER), 1, 2);
    }

    function test_recordExchange_replayed() public {
        _exchange(SLAVE, gid, _oid(SLAVE), _oid(MASTER), 7, 2);
        _refuse(IVirtualGroups.VirtualGroups_SeqNotRising.selector, 7);
        _exchange(SLAVE, gid, _oid(SLAVE), _oid(MASTER), 7, 2);
    }

    function test_recordExchange_seqTooHigh() public {
        uint64 limit = type(uint56).max;
        bytes4 selector = IVirtualGroups.VirtualGroups_BadRange.selector;
        vm.expectRevert(abi.encodeWithSelector(selector, limit + 1, limit));
        _exchange(SLAVE, gid, _oid(SLAVE), _oid(MASTER), limit + 1, 2);
    }

    function test_verifyCheckpoint_ofAMember() public view {
        vm.assertTrue(_checkpoint(SLAVE, gid, _oid(SLAVE), 1, 1000, 2));
    }

    function test_verifyCheckpoint_refusals() public {
        vm.expectRevert(abi.encodeWithSelector(IVirtualGroups.VirtualGroups_BadRange.selector, 2, 1));
        _checkpoint(SLAVE, gid, _oid(SLAVE), 2, 1, 2);
        _refuse(IVirtualGroups.VirtualGroups_UnknownObject.selector, NOBODY);
        _checkpoint(SLAVE, gid, NOBODY, 1, 2, 2);
        _refuse(IVirtualGroups.VirtualGroups_ObjectRevoked.selector, _oid(REVOKED));
        _checkpoint(REVOKED, gid, _oid(REVOKED), 1, 2, 2);
        _refuse(IVirtualGroups.VirtualGroups_UnknownGroup.selector, NO_GROUP);
        _checkpoint(SLAVE, NO_GROUP, _oid(SLAVE), 1, 2, 2);
        _refuse(IVirtualGroups.VirtualGroups_NotInGroup.selector, _oid(SLAVE));
        _checkpoint(SLAVE, otherGid, _oid(SLAVE), 1, 2, 1);
        _refuse(IVirtualGroups.VirtualGroups_StaleEpoch.selector, 2);
        _checkpoint(SLAVE, gid, _oid(SLAVE), 1, 2, 3);
        _refuse(IVirtualGroups.VirtualGroups_BadSignature.selector);
        _checkpoint(MASTER, gid, _oid(SLAVE), 1, 2, 2);
    }

    function test_anchor_isLogged() public {
        IVirtualGroups.Signature memory signature = _signAnchor(MASTER, gid, 1, 1000);
        vm.expectEmit();
        emit IVirtualGroups.Anchored(gid, ROOT, 1, 1000, 2);
        register.anchor(gid, ROOT, 1, 1000, signature);
    }

    function test_anchor_refusals() public {
        vm.expectRevert(abi.encodeWithSelector(IVirtualGroups.VirtualGroups_BadRange.selector, 2, 1));
        register.anchor(gid, ROOT, 2, 1, _unsigned());
        _refuse(IVirtualGroups.VirtualGroups_UnknownGroup.selector, NO_GROUP);
        register.anchor(NO_GROUP, ROOT, 1, 2, _unsigned());
        IVirtualGroups.Signature memory bySlave = _signAnchor(SLAVE, gid, 1, 2);
        _refuse(IVirtualGroups.VirtualGroups_BadSignature.selector);
        register.anchor(gid, ROOT, 1, 2, bySlave);
    }
}
