"""The registry of peers at the broker: one read model for sessions, operators and dashboards.

===========================  ==========================================================
key                          what it holds
===========================  ==========================================================
``p2c2g.peers``              hash: a peer's id → its enrolment
``p2c2g.beat.<id>``          its latest beat; gone three intervals after it was written
``p2c2g.banned``             hash: a peer's id → why
===========================  ==========================================================

The broker's own clock ends a peer's beat, so nobody's clock has to be trusted: a peer that is
enrolled and has no beat is dead, and whoever sees that may sweep it.  A peer writes its own
keys only, in one round trip a beat.
"""
