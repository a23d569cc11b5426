"""The key exchange M1–M4 as two state machines that know no socket (``docs/protocol.md`` §3).

::

    slave                                                          master
      M1  suites, aeads, gid, sn, share                 ─────────►
                                                        ◄─────────   M2  suite, aead, sid, mn, share, sig, fin
      M3  {public key, signature, pairing proof} K3     ─────────►
                                                        ◄─────────   M4  {gid, oid, address, token, …} key[m2s, control]
"""

from group_protocol.handshake.cookies import CookieJar
from group_protocol.handshake.master import Identity, MasterHandshake, MasterPolicy
from group_protocol.handshake.slave import SlaveHandshake, SlaveState

__all__ = ["CookieJar", "Identity", "MasterHandshake", "MasterPolicy", "SlaveHandshake", "SlaveState"]
