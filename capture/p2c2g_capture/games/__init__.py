"""Games: which there are, how each is captured and played, and what must not be touched.

``profile`` is what is known of one game, ``store`` where profiles are, ``found`` what runs or is
installed, ``libraries`` what launchers have, ``played`` a game that was started or attached to, and
``anticheat`` what is looked for before anything is pressed in one.
"""
