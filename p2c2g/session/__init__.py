"""Who sends and who puts together: one session, from a captured frame to a shown one.

``core`` decides, over the tables that are named in ``tables``, and knows no thread and no
socket: ``frame_plan`` says what is done with each chunk of a frame, ``known`` what needs not be
asked for again, ``runs`` what is sent and sent again, ``results`` what a result is worth,
``reassembler`` what is shown when.  ``session`` wires its shells: the threads of ``collector``,
``player`` and ``maintenance`` share the core through ``shell``, and ``sender`` carries out what
was decided.  ``observer`` is how others hear of it, ``report`` tells how it went.
"""
