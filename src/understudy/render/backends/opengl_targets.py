"""What a tile of the picture is drawn into."""

from collections.abc import Sequence
from math import isqrt

import moderngl
import numpy as np

from understudy.render.views import PixelBounds

__all__ = ["TileScreen", "TileTargets", "tiles_of"]

MAX_SAMPLES = 1 << 21
"""Of a tile: pictures are drawn in tiles, so that memory (40 bytes a sample) does not grow with their size. Few are
better, for all vertices are worked out for each: a person in a 1280×720 frame is one tile."""
MAX_SIDE_SAMPLES = 8192
"""Of a texture, on any device."""
ROUND_PX = 64
"""Targets' sides are multiples of this, so that they are not made anew for each frame."""

MAX_RECTANGLES = 2048
"""Of a tile; whose parts are more is drawn whole."""
CORNERS = np.array([(0, 0), (1, 0), (0, 1), (0, 1), (1, 0), (1, 1)], np.float32)
"""Of a rectangle, as two triangles."""


def tiles_of(box: PixelBounds, factor: int) -> list[PixelBounds]:
    """A box whole, if its `factor` × `factor` samples per pixel fit into one tile; else cut into squares."""
    pixels = MAX_SAMPLES // factor**2
    fits = box.width * box.height <= pixels and max(box.width, box.height) * factor <= MAX_SIDE_SAMPLES
    return box.tiles(max(box.width, box.height, 1) if fits else isqrt(pixels))


class TileScreen:
    """Runs a program over parts of a tile: software renderers save next to nothing on pixels that are discarded."""

    def __init__(self, context: moderngl.Context, program: moderngl.Program) -> None:
        self._corners = context.buffer(reserve=MAX_RECTANGLES * CORNERS.nbytes, dynamic=True)
        self._array = context.vertex_array(program, [(self._corners, "2f", "in_position")])

    def draw(self, tile: PixelBounds, parts: Sequence[PixelBounds]) -> None:
        """Run it over `parts` of a tile, counted from its corner; the viewport is the tile."""
        if len(parts) > MAX_RECTANGLES:
            parts = [PixelBounds(0, 0, tile.width, tile.height)]
        if not parts:
            return
        sides = np.array([((one.left, one.top), (one.width, one.height)) for one in parts], np.float32)
        pixels = sides[:, None, 0] + CORNERS * sides[:, None, 1]
        self._corners.orphan()
        self._corners.write((2 * pixels / np.array([tile.width, tile.height], np.float32) - 1).tobytes())
        self._array.render(vertices=len(parts) * len(CORNERS))


class TileTargets:
    """Textures for the samples of a tile, and for the pixels that come of them."""

    def __init__(self, context: moderngl.Context, factor: int, motion: bool) -> None:
        """`factor`: samples per pixel along each axis; `motion`: whether pixels have motion too. Empty at first."""
        self._context, self._factor, self._motion = context, factor, motion
        self._width = self._height = 0
        self._owned: list[moderngl.Framebuffer | moderngl.Renderbuffer | moderngl.Texture] = []

    def reserve(self, tile: PixelBounds) -> None:
        """Make room for a tile."""
        if tile.width <= self._width and tile.height <= self._height:
            return
        wider, higher = max(tile.width, self._width), max(tile.height, self._height)
        if wider * higher * self._factor**2 > MAX_SAMPLES:
            wider, higher = tile.width, tile.height
        self._width, self._height = (-(-side // ROUND_PX) * ROUND_PX for side in (wider, higher))
        for thing in reversed(self._owned):
            thing.release()
        context, size = self._context, (self._width, self._height)
        samples = (self._width * self._factor, self._height * self._factor)
        self.bases, self.geometries = (context.texture(samples, 4, dtype=kind) for kind in ("f1", "f4"))
        self.motions = [context.texture(samples, 4, dtype="f4")] if self._motion else []
        depth = context.depth_renderbuffer(samples)
        self.samples = context.framebuffer([self.bases, self.geometries, *self.motions], depth)
        self.coverage = context.framebuffer([self.geometries], depth)
        """Of the samples, what says where there is anything: all that needs to be cleared."""
        kinds = [(4, "f4"), (4, "f4"), (2, "f1"), *[(4, "f4")] * len(self.motions)]
        pixels = [context.texture(size, components, dtype=kind) for components, kind in kinds]
        self.pixels = context.framebuffer(pixels)
        self._owned = [self.bases, self.geometries, *self.motions, *pixels, depth]
        self._owned += [self.samples, self.coverage, self.pixels]
