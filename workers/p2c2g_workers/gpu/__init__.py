"""The engine for graphics cards: CUDA and Metal by PyTorch, and PyTorch's own CPU device.

The rooms, in the order of a chunk: ``engine`` takes it, ``codec`` makes pixels of it on the card
where a library can, ``batching`` puts it together with those that wait, ``device`` brings it up
and down, ``ops`` and ``network`` do the work, ``tables`` has the weights of the scaling.  What is
done here is done on the CPU by :mod:`p2c2g_workers.processors`, to the same pixels.

Only ``errors`` and ``batching`` can be imported without PyTorch (the extra ``cuda``); nothing
imports PyTorch before an engine is opened.
"""

from importlib.util import find_spec

#: Whether PyTorch is not installed here.
MISSING = find_spec("torch") is None
