"""What is checked of a stranger's chunk before anything is decoded, on whichever device."""

from __future__ import annotations

from p2c2g.errors import WireError
from p2c2g.media.cells import cell_of
from p2c2g.media.codecs import codec
from p2c2g_workers.engine import Work


def check(work: Work) -> None:
    """Refuse a chunk that is not what was announced, or of which an impossible part is wanted.

    Raises:
        CodecError: the payload is no picture of its codec.
        WireError: the picture is not of the size that was announced, or what is wanted lies
            outside the enhanced picture, or begins inside a cell.
    """
    size = codec(work.codec).size_of(work.payload)
    if size != work.size:
        raise WireError(f"its picture is {size} where its header says {work.size}.")
    plan, crop = work.plan, work.crop
    whole, cell = plan.output_of(size), cell_of(plan.scale_x, plan.scale_y)
    if crop.right > whole.width or crop.bottom > whole.height:
        raise WireError("its crop lies outside its enhanced picture.")
    if crop.x % cell.width or crop.y % cell.height:
        raise WireError(f"its crop begins inside a cell of {cell} pixels.")
