"""Pictures for properties: what filters, codecs and bounds find hard."""

import cv2
import numpy as np
from hypothesis import strategies as st

from p2c2g.media.frame import Pixels, Size

KINDS = ("noise", "hard", "soft", "checks", "flat", "edges")
kinds = st.sampled_from(KINDS)


def picture(size: Size, seed: int, kind: str) -> Pixels:
    """Return ``(height, width, 3)``: noise, black and white noise, soft shapes and so on."""
    random = np.random.default_rng(seed)
    shape = (size.height, size.width, 3)
    if kind == "flat":
        return np.full(shape, random.integers(0, 256, 3, dtype=np.uint8), np.uint8)
    if kind == "checks":
        rows, columns = np.indices(shape[:2])
        odd = ((rows + columns) % 2).astype(bool)[:, :, None]
        two = random.integers(0, 256, (2, 3), dtype=np.uint8)
        return np.where(odd, two[0], two[1])
    if kind == "edges":
        columns = np.arange(size.width)[None, :, None] > size.width // 2
        return np.where(columns, np.uint8(255), np.zeros(shape, np.uint8))
    noise = random.integers(0, 256, shape, dtype=np.uint8)
    if kind == "hard":
        return np.where(noise > 127, np.uint8(255), np.uint8(0))
    return np.asarray(cv2.GaussianBlur(noise, (9, 9), 0), np.uint8) if kind == "soft" else noise
