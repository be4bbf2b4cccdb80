"""Sealed pictures: between a gamer and one peer of an open pool, nobody else reads or changes them.

Pure, and without a word of ours but its errors.  ``cryptography`` does the work; it is imported
when a first key is made, so that a pool of one's own needs none of it.

* :mod:`~p2c2g.sealing.identity`: a peer's signing key, which the operator vouches for;
* :mod:`~p2c2g.sealing.agreement`: key pairs of a session and of a worker, and what both derive;
* :mod:`~p2c2g.sealing.box`: one message, sealed; :mod:`~p2c2g.sealing.window` refuses replays;
* :mod:`~p2c2g.sealing.gamer_end` and :mod:`~p2c2g.sealing.peer_end`: who seals what for whom;
* :mod:`~p2c2g.sealing.signing`: what a peer signs.

A chunk, sealed by a gamer for one peer:

======  =========  ===================================================================
offset  bytes      what
======  =========  ===================================================================
0       1          :data:`VERSION`
1       32         the session's public key (X25519)
33      8          counter, big-endian, of all that the session has sealed
41      n + 16     the picture, by AES-256-GCM, and its tag
======  =========  ===================================================================

A result, sealed by that peer:

======  =========  ===================================================================
offset  bytes      what
======  =========  ===================================================================
0       1          :data:`VERSION`
1       8          counter, big-endian, of all that the worker has sealed
9       64 + n     signature (Ed25519) and residual, by AES-256-GCM
73 + n  16         its tag
======  =========  ===================================================================

The nonce is four zeros and the counter.  Authenticated with either, and not in it: the direction
and the packed header; with a result also the counter of the chunk that it answers.
"""

from __future__ import annotations

from typing import Final

#: Of what is sealed: both messages, and what is signed and derived for them.  Peers and sessions
#: of another one are told apart by it, as by the versions of chunks (:mod:`p2c2g.peers.versions`).
VERSION: Final = 1
