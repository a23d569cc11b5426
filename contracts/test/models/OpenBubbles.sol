// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title A model of the original design's register, with its flaws, for tests/attacks alone
/// @notice The rules of BBTrust (the design that the paper builds on): ids are chosen by whoever comes first, a ticket
/// is the master's signature over group, id and address, and its recovery bit is tried both ways. Never deploy it.
contract OpenBubbles {
    struct Object {
        address account;
        uint8 gid;
    }

    mapping(uint8 gid => address) public masterOf;
    mapping(uint8 oid => Object) public objectOf;
    mapping(uint8 oid => string) public inboxOf;

    error Refused();

    /// @notice Take a group id that is free. Flaw: first come, first served.
    function createGroup(uint8 gid, uint8 oid) external {
        if (masterOf[gid] != address(0) || objectOf[oid].account != address(0)) revert Refused();
        masterOf[gid] = msg.sender;
        objectOf[oid] = Object(msg.sender, gid);
    }

    /// @notice Join a group with a ticket. Flaws: the id is free text; no group has the master that ecrecover gives for
    /// a signature of nobody; neither chain nor contract are in what is signed.
    function associate(uint8 gid, uint8 oid, bytes32 r, bytes32 s) external {
        if (objectOf[oid].account != address(0)) revert Refused();
        if (!isTicket(gid, oid, msg.sender, r, s)) revert Refused();
        objectOf[oid] = Object(msg.sender, gid);
    }

    /// @notice Leave a message for a member. Flaw: nobody looks at who sends it.
    function send(uint8 from, uint8 to, string calldata text) external {
        if (objectOf[from].account == address(0) || objectOf[to].account == address(0)) revert Refused();
        if (objectOf[from].gid != objectOf[to].gid) revert Refused();
        inboxOf[to] = text;
    }

    /// @notice Whether the group's master signed this ticket. Flaws: a high s passes, either recovery bit passes.
    function isTicket(uint8 gid, uint8 oid, address account, bytes32 r, bytes32 s) public view returns (bool) {
        bytes32 digest = keccak256(abi.encodePacked(gid, oid, account));
        address master = masterOf[gid];
        return ecrecover(digest, 27, r, s) == master || ecrecover(digest, 28, r, s) == master;
    }
}
