"""Chaos: a real pool that is harmed on purpose, and an auditor of what the gamer saw.

Read in this order: ``faults.py`` (what will happen, drawn from a seed), ``records.py`` and
``peer.py`` (inside each worker), ``workers.py`` (workers and proxies), ``injector.py`` (does
the harm), ``witness.py`` (watches the pictures), ``events.py`` (what was seen), ``scenario.py``
(one run, in its ``surroundings.py``), ``auditor.py`` and ``figures.py`` (pure: what broke, and
how well it went).
"""
