"""How a lent machine gets newer versions by itself, and goes back from one that does not work.

* :mod:`~p2c2g.updating.manifest`: what an operator says of a release;
* :mod:`~p2c2g.updating.signing`: by which key, and what changes that key;
* :mod:`~p2c2g.updating.acceptance`: whether a peer takes what it is offered (pure);
* :mod:`~p2c2g.updating.staging`: who comes first, and when a release is stopped (pure);
* :mod:`~p2c2g.updating.journal`: what a peer has tried, and what follows from it (pure);
* :mod:`~p2c2g.updating.trial`: whether a new version works (pure);
* :mod:`~p2c2g.updating.fetching`, :mod:`~p2c2g.updating.venvs`: the doing;
* :mod:`~p2c2g.updating.course`: one update, step by step;
* :mod:`~p2c2g.updating.keeper`: the process that keeps a worker running and all that up to date.
"""
