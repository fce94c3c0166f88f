"""The canvas of a static or turning camera as its frames see it."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from understudy.decompose.plate.blend import Box
from understudy.decompose.plate.holes import Holes, beside, reduced
from understudy.decompose.plate.mosaic import Canvas, CanvasGeometry, Still, smooth_map
from understudy.decompose.plate.shadow import Beside

__all__ = ["CanvasView"]

_SURE = 4
"""Witnesses that make sure what the clean set looks like."""
_RIM_PX = 24
"""What lies nearer to the end of the painted canvas is not looked at: a hole there would reach beyond it."""
_SMALL_HEIGHT = 180


class CanvasView:
    """Looks at a canvas from frames: in a box at full size, or as a whole at 1/`scale`."""

    def __init__(self, canvas: Canvas, geometry: CanvasGeometry) -> None:
        height = geometry.shape[0] if isinstance(geometry, Still) else geometry.frame_shape[0]
        self.scale = max(2, round(height / _SMALL_HEIGHT))
        self._canvas, self._geometry = canvas, geometry
        # The least support in each block: a block is sure only when all of it is.
        support = cv2.erode(canvas.support, np.ones((self.scale + 1, self.scale + 1), np.uint8))
        painted = cv2.erode(canvas.needed.astype(np.uint8), np.ones((2 * _RIM_PX + 1, 2 * _RIM_PX + 1), np.uint8))
        self._reduced = reduced(canvas.picture, self.scale), reduced(support * painted, self.scale)

    def beside(self, frame: UInt8[np.ndarray, "height width 3"], holes: Holes, index: int) -> Beside:
        """A frame beside the clean set, at reduced size."""
        small = reduced(frame, self.scale).astype(np.float32)
        clean, support = self._look_reduced(index, *small.shape[:2])
        return beside(small, clean, support >= _SURE, holes, self.scale)

    def look(
        self, index: int, box: Box
    ) -> tuple[Float[np.ndarray, "height width 3"], UInt8[np.ndarray, "height width"]]:
        """The canvas and its support as frame `index` sees them in a box."""
        picture, support = self._canvas.picture, self._canvas.support
        if isinstance(self._geometry, Still):
            return picture[box.slices].astype(np.float32), support[box.slices]
        at = smooth_map(lambda xy: self._geometry.frame_to_canvas(index, xy), box)
        fill = cv2.remap(picture, at, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        return fill.astype(np.float32), cv2.remap(support, at, None, cv2.INTER_NEAREST, borderValue=0)

    def _look_reduced(
        self, index: int, rows: int, columns: int
    ) -> tuple[Float[np.ndarray, "rows columns 3"], UInt8[np.ndarray, "rows columns"]]:
        """The whole frame's view of the canvas at reduced size."""
        picture, support = self._reduced
        if isinstance(self._geometry, Still):
            return picture.astype(np.float32), support
        y, x = np.mgrid[0:rows, 0:columns]
        full = (np.stack([x, y], -1).reshape(-1, 2) + 0.5) * self.scale - 0.5
        at = (self._geometry.frame_to_canvas(index, full) + 0.5) / self.scale - 0.5
        at = at.reshape(rows, columns, 2).astype(np.float32)
        clean = cv2.remap(picture, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return clean.astype(np.float32), cv2.remap(support, at, None, cv2.INTER_NEAREST, borderValue=0)
