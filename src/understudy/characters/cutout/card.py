"""What a picture's transparency means: a figure cut out, or a card with rounded corners or a margin."""

import cv2
import numpy as np
from jaxtyping import Bool, UInt8
from scipy import ndimage

__all__ = ["drawn_by_alpha", "is_cut_out", "opaque_window"]

SURE_ALPHA_SHARE = 0.02
"""A picture's alpha channel is meant as a cut-out when at least this share of it is transparent."""
CARD_SHARE = 0.88
"""What fills more of the smallest rectangle around it is a card, not a figure."""
SHADOW_ALPHA, SHADOW_BRIGHTNESS = 240, 64
"""Drop shadows are dark and let something through."""
WIDEST_FRAME = 0.1
"""Of the picture's shorter side."""
FRAME_LAB = 6.0


def is_cut_out(alpha: UInt8[np.ndarray, "height width"]) -> bool:
    """Whether what is opaque has a figure's shape."""
    opaque = (alpha >= 128).astype(np.uint8)
    if np.mean(opaque) > 1 - SURE_ALPHA_SHARE or not opaque.any():
        return False
    _, (width, height), _ = cv2.minAreaRect(cv2.findNonZero(opaque))
    return float(opaque.sum()) < CARD_SHARE * (width + 1) * (height + 1)


def drawn_by_alpha(picture: UInt8[np.ndarray, "height width 4"]) -> Bool[np.ndarray, "height width"]:
    """What is opaque, without a soft shadow that fell on nothing."""
    alpha, brightness = picture[..., 3], picture[..., :3].max(-1)
    shade = (alpha < SHADOW_ALPHA) & (alpha > 0) & (brightness < SHADOW_BRIGHTNESS)
    # The rim of dark clothes is dark and lets something through, too, but it is thin.
    radius = max(2, round(0.006 * alpha.shape[0]))
    wide = ndimage.binary_opening(np.pad(shade, radius), iterations=radius)[radius:-radius, radius:-radius]
    return (alpha >= 128) & ~(ndimage.binary_dilation(wide, iterations=2 * radius) & shade)


def opaque_window(
    picture: UInt8[np.ndarray, "height width 4"],
) -> tuple[UInt8[np.ndarray, "rows columns 3"], tuple[slice, slice]]:
    """A card's picture inside its margin and its frame, with the corners filled, and where it lies."""
    opaque = picture[..., 3] >= 128
    rows, columns = np.flatnonzero(opaque.any(1)), np.flatnonzero(opaque.any(0))
    if len(rows) == 0:
        return np.ascontiguousarray(picture[..., :3]), (slice(0, opaque.shape[0]), slice(0, opaque.shape[1]))
    window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    rgb, inside = picture[window][..., :3], opaque[window]
    if not inside.all():
        nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
        rgb = rgb[tuple(nearest)]
    inset = _frame_px(rgb)
    if inset:
        down, across = (slice(side.start + inset, side.stop - inset) for side in window)
        window = (down, across)
        rgb = rgb[inset:-inset, inset:-inset]
    return np.ascontiguousarray(rgb), window


def _frame_px(rgb: UInt8[np.ndarray, "height width 3"]) -> int:
    """How broad a frame is drawn along all four sides; 0 without one."""
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    height, width = lab.shape[:2]
    widest = int(WIDEST_FRAME * min(height, width))
    found = 0
    for inset in range(widest):
        low, inner = inset, inset + 2
        along_x, along_y = slice(inner, width - inner), slice(inner, height - inner)
        if width - 2 * inner < 8 or height - 2 * inner < 8:
            break
        steps = (
            lab[low, along_x] - lab[inner, along_x],
            lab[-1 - low, along_x] - lab[-1 - inner, along_x],
            lab[along_y, low] - lab[along_y, inner],
            lab[along_y, -1 - low] - lab[along_y, -1 - inner],
        )
        if all(np.mean(np.linalg.norm(step, axis=-1) > FRAME_LAB) > 0.9 for step in steps):
            found = inner
    return found
