"""What is done to a picture: the pipeline string, and what it means for one size of frame.

Geometry only, so that the gamer's side can plan without the libraries that do the work.  All
of it is exact arithmetic on fractions: a chunk's edge has to be the same pixel whether it is
computed from the frame or from the chunk, and a float would round it differently now and then.

A pipeline is operations joined by commas, such as ``upscale:2,sharpen:0.5``.  All operations are
in one table (``table.py``), and what a pipeline of them means for a size of frame is a plan
(``pipeline.py``).  Methods of scaling have a table of their own (``media/methods.py``); those that
are trained nets are written::

    upscale:2:NETWORK         by a trained net: ml-tiny, ml-small or ml-large
    upscale:2:ml              by the best net that the peer can run in time
    upscale:2:ml@WEIGHTS      by a gamer's own weights first: 32 hex digits each, joined by +

**To add an operation**, write one row in :data:`~p2c2g.media.operations.table.OPERATIONS`, and one
function a device, registered under the row's name: the CPU's in
``workers/p2c2g_workers/processors/opencv.py``, a graphics card's in ``gpu/ops.py``, and OpenCL's,
where OpenCV has kernels for it, in ``processors/opencl.py``.  ``processors/registry.py`` says what
a function has to do; until a device has one, the CPU does the step.  Pipelines, plans, errors, the
command's help, the probe and the contract tests of operations read the table and the registries;
``tests/unit/test_new_operation.py`` adds two.

There are two limits.  A value that is not a method, factor, size or amount needs a field in
``Call`` and ``Step``.  And a result has to look like its chunk (``p2c2g/verify/checks.py``): a
session refuses the results of an operation that changes colours strongly.

A length ``n`` becomes ``floor(n * scale + 1/2)``.  If ``x * scale`` is whole, then
``f(n - x) == f(n) - x * scale``: cutting at such an ``x`` commutes with scaling, and these
``x`` are the multiples of ``Plan.align``.
"""

from p2c2g.media.operations.pipeline import MAX_STEPS, MAX_TEXT, Pipeline, Plan, Step, scaled
from p2c2g.media.operations.table import OPERATIONS, Call, Operation

__all__ = [
    "MAX_STEPS",
    "MAX_TEXT",
    "OPERATIONS",
    "Call",
    "Operation",
    "Pipeline",
    "Plan",
    "Step",
    "scaled",
]
