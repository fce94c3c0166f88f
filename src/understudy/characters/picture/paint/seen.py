"""What a picture shows of a figure: colours of cloth, hair and skin at every place, without what hides them."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy import ndimage

from understudy.characters.picture.parts import PARTS, FigureGrid, limb_radius

__all__ = ["GROUP_OF", "LAB_WEIGHTS", "Seen", "carried_out", "seen_in"]

BODY, ARMS, CAPE = 0, 1, 2
"""Groups of parts that may hide each other, and are painted each for itself."""
GROUP_OF = np.array([{"left_arm": ARMS, "right_arm": ARMS, "cape": CAPE}.get(part, BODY) for part in PARTS])
"""The group of each of PARTS."""
RIM_SHARE = 0.006
"""Of the figure's height: so near the silhouette pixels are mixed with the background."""
LAB_WEIGHTS = np.array([0.5, 1.0, 1.0])
"""Lightness counts half: shading changes it."""
SURROUNDINGS = 9
"""Cells across the square that a spot stands out from."""
MOTTLED_BLUR = 3.0
"""Cells around a place over which colours are compared."""


@dataclass(frozen=True)
class Seen:
    """What the picture shows of one group of parts that may hide others: trunk, head and legs, or arms."""

    picture: Float[np.ndarray, "height width 3"]
    """At the texture's scale over the grid, padded beyond its edges."""
    cloth: Float[np.ndarray, "row column 4"]
    """At each cell its Lab colour and how far it lies within what is seen."""

    def with_picture(self, picture: Float[np.ndarray, "height width 3"]) -> "Seen":
        """The same place with another picture."""
        return replace(self, picture=picture)

    def spots(self) -> Float[np.ndarray, "row column"]:
        """How far the most different pixel in each cell is from its surroundings, in Lab: zips, seams, small prints."""
        lab = cv2.cvtColor(np.clip(self.picture / 255, 0, 1).astype(np.float32), cv2.COLOR_RGB2LAB) * LAB_WEIGHTS
        rows, columns = self.cloth.shape[:2]
        cell = self.picture.shape[0] / rows
        lab = cv2.GaussianBlur(lab.astype(np.float32), (0, 0), max(0.1 * cell, 0.3))
        small = cv2.resize(lab, (columns, rows), interpolation=cv2.INTER_AREA) + 128
        # A median: beside a large print a cell's surroundings are still its own cloth.
        around = cv2.medianBlur(np.clip(small, 0, 255).astype(np.uint8), SURROUNDINGS).astype(np.float32) - 128
        around = cv2.resize(around, lab.shape[1::-1])
        away = cv2.dilate(np.linalg.norm(lab - around, axis=-1), np.ones((max(int(cell), 1),) * 2, np.uint8))
        return cv2.resize(away, (columns, rows), interpolation=cv2.INTER_NEAREST)

    def colours(self, place: Float[np.ndarray, "texel 2"]) -> Float[np.ndarray, "texel 3"]:
        """At places in grid coordinates."""
        rows, columns = self.cloth.shape[:2]
        scale = self.picture.shape[1] / columns, self.picture.shape[0] / rows
        at = (place * scale - 0.5).astype(np.float32)
        width = 4096
        padded = np.pad(at, ((0, -len(at) % width), (0, 0))).reshape(-1, width, 2)
        found = cv2.remap(
            self.picture, padded[..., 0], padded[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        return found.reshape(-1, 3)[: len(at)]

    def mottled(self) -> Float[np.ndarray, "row column"]:
        """How much colour varies around each cell, as a standard deviation in Lab."""
        weight = (self.cloth[..., 3] > 0.5).astype(np.float32)
        lab = self.cloth[..., :3].astype(np.float32) * LAB_WEIGHTS.astype(np.float32)
        total = np.maximum(cv2.GaussianBlur(weight, (0, 0), MOTTLED_BLUR), 1e-3)
        mean = cv2.GaussianBlur(lab * weight[..., None], (0, 0), MOTTLED_BLUR) / total[..., None]
        square = cv2.GaussianBlur((lab**2).sum(-1) * weight, (0, 0), MOTTLED_BLUR) / total
        return np.sqrt(np.maximum(square - (mean**2).sum(-1), 0))

    def at_cells(self, place: Float[np.ndarray, "place 2"]) -> Float[np.ndarray, "place 4"]:
        """Lab and depth at places in grid coordinates."""
        at = place.T[::-1] - 0.5
        return np.stack(
            [ndimage.map_coordinates(self.cloth[..., i], at, order=1, mode="nearest") for i in range(4)], -1
        )


def seen_in(
    grid: FigureGrid,
    labels: Int[np.ndarray, "row column"],
    rgb: UInt8[np.ndarray, "height width 3"],
    figure: Bool[np.ndarray, "height width"],
    per_cell: float,
) -> list[Seen]:
    """One for each group: trunk, head and legs, which arms hide in part; arms; a cape, which all others may hide."""
    rows, columns = grid.distance.shape
    size = max(int(columns * per_cell), 2), max(int(rows * per_cell), 2)
    # Pixel centres: panel pixel p covers the picture around origin + (p + 0.5) · step.
    step = grid.cell_px * columns / size[0], grid.cell_px * rows / size[1]
    to_picture = np.array(
        [
            [step[0], 0, grid.origin_px[0] + 0.5 * step[0] - 0.5],
            [0, step[1], grid.origin_px[1] + 0.5 * step[1] - 0.5],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    sharp = cv2.GaussianBlur(rgb, (0, 0), 0.45 * step[0]) if step[0] > 1.3 else rgb
    picture = cv2.warpAffine(sharp, to_picture, size, flags=flags, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    inside = cv2.warpAffine(figure.astype(np.float32), to_picture, size, flags=flags) > 0.5
    small = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(np.clip(small / 255, 0, 1), cv2.COLOR_RGB2LAB).astype(np.float64)
    group = np.where(labels >= 0, GROUP_OF[labels], -1)
    shoulders = (group >= 0) & (group != CAPE) & _shoulders(grid, labels)
    groups = []
    for own in ((group == BODY) | shoulders, (group == ARMS) | shoulders, group == CAPE):
        depth = ndimage.distance_transform_edt(np.pad(own, 1))[1:-1, 1:-1] - 0.5
        depth = np.where(grid.distance < 2.5, np.minimum(depth + 0.5, grid.distance), depth)
        shown = inside & (cv2.resize(depth.astype(np.float32), size) > 0)
        padded = _pad(picture, shown, RIM_SHARE * grid.height * per_cell)
        groups.append(Seen(padded, np.dstack([lab, depth])))
    return groups


def _shoulders(grid: FigureGrid, labels: Int[np.ndarray, "row column"]) -> Bool[np.ndarray, "row column"]:
    """Where arm and trunk are one surface, so that both must show the same."""
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]] + 0.5
    near = np.zeros(labels.shape, bool)
    for side in ("left", "right"):
        middle = grid[f"{side}_shoulder"]
        near |= np.hypot(x - middle[0], y - middle[1]) < 1.6 * limb_radius(grid, labels, f"{side}_arm")
    return near


def _pad(
    picture: Float[np.ndarray, "height width 3"], inside: Bool[np.ndarray, "height width"], margin: float
) -> Float[np.ndarray, "height width 3"]:
    """Everything outside takes the colour of the nearest pixel that lies `margin` inside: the outermost pixels are a
    mixture with the background."""
    if not inside.any():
        return picture
    core = cv2.distanceTransform(np.pad(inside.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1] > margin
    return carried_out(picture, core if core.any() else inside)


def carried_out(
    picture: Float[np.ndarray, "height width 3"], known: Bool[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width 3"]:
    """The nearest known pixel's colour everywhere."""
    _, label = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    label = np.asarray(label, np.int64)
    colours = np.zeros((int(label.max()) + 1, 3), np.float32)
    colours[label[known]] = picture[known]
    return colours[label]
