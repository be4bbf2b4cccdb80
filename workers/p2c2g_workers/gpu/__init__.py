"""The engine for graphics cards: CUDA and Metal by PyTorch, and PyTorch's own CPU device.

The modules, in the order of a chunk: ``engine`` takes it, ``codec`` decodes it on the card where a
library can, ``batching`` puts it together with those that wait, ``device`` brings it up and down,
``stock`` keeps what was made ready, ``adding`` tells what the plan adds to the base, ``chain`` goes
through its steps, ``ops``, ``base`` and ``network`` do the work, ``tables`` has the weights of the
scaling.  ``memory`` measures what it takes.  :mod:`p2c2g_workers.processors` does the same on the
CPU, with the same pixels; docs/gpu.md says how, and why by PyTorch.

Only ``errors`` and ``batching`` can be imported without PyTorch (the extra ``cuda``); nothing
imports PyTorch before an engine is opened.
"""

from importlib.util import find_spec

#: Whether PyTorch is not installed here.
MISSING = find_spec("torch") is None
