"""Who sends and who puts together: one session, from a captured frame to a shown one.

``dispatcher`` sends chunks and ``attempts`` counts their runs; results come to the
``collector``, and the ``reassembler`` releases whole frames in order and on time.
``session`` wires them, and ``report`` tells how it went.
"""
