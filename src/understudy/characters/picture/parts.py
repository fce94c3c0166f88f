"""Which body part each piece of a figure is."""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy import ndimage, sparse
from scipy.sparse.csgraph import dijkstra

from understudy.characters.picture.joints import POINTS, FigureJoints

__all__ = ["PARTS", "FigureGrid", "bone_line", "figure_grid", "label_parts", "limb_radius", "segment_distance"]

PARTS: tuple[str, ...] = ("torso", "head", "left_arm", "right_arm", "left_leg", "right_leg", "cape")
"""What the figure is inflated and skinned by; a cape is what hangs behind it."""

MARGIN_CELLS = 6
"""Around the figure: what is measured or smoothed near the outline never meets the grid's edge."""

LINES: dict[str, tuple[str, ...]] = {
    "torso": ("neck", "hips"),
    "head": ("head_top", "head"),
    "left_arm": ("left_shoulder", "left_elbow", "left_wrist", "left_hand"),
    "right_arm": ("right_shoulder", "right_elbow", "right_wrist", "right_hand"),
    "left_leg": ("left_hip", "left_knee", "left_ankle", "left_toe"),
    "right_leg": ("right_hip", "right_knee", "right_ankle", "right_toe"),
}


MIN_SEED_SHARE = 0.3
"""Of the cells on a part's bones, that a piece apart from the rest must hold to be of that part: a forearm before the
body does, the end of a bone does not that runs on from a hand in a pocket."""


@dataclass(frozen=True)
class FigureGrid:
    """A figure on a coarse grid around it. Grid coordinates (x right, y down) count cells from the grid's corner."""

    cell_px: float
    """Picture pixels per cell."""
    origin_px: Float[np.ndarray, "2"]
    """The grid's top-left corner in the picture."""
    distance: Float[np.ndarray, "row column"]
    """Signed distance of each cell's centre to the silhouette, in cells, positive inside; finer than a cell."""
    lab: Float[np.ndarray, "row column 3"]
    """CIE Lab colour of each cell."""
    points: Float[np.ndarray, "20 2"]
    """The joints (joints.POINTS) in grid coordinates."""
    face: Float[np.ndarray, "11 2"] | None
    """The face's landmarks in grid coordinates."""
    height: float
    """How many cells tall the figure is."""

    @property
    def mask(self) -> Bool[np.ndarray, "row column"]:
        """Which cells are inside the silhouette."""
        return self.distance > 0

    def __getitem__(self, name: str) -> Float[np.ndarray, "2"]:
        return self.points[POINTS.index(name)]


def figure_grid(
    rgb: UInt8[np.ndarray, "height width 3"],
    figure: Bool[np.ndarray, "height width"],
    joints: FigureJoints,
    cells: int,
) -> FigureGrid:
    """Lay a grid with `cells` rows over the figure, and MARGIN_CELLS more cells on each side."""
    rows, columns = np.flatnonzero(figure.any(1)), np.flatnonzero(figure.any(0))
    tall = rows[-1] + 1 - rows[0]
    cell = tall / cells
    origin = np.array([columns[0], rows[0]], np.float64) - MARGIN_CELLS * cell
    shape = (cells + 2 * MARGIN_CELLS, int(np.ceil((columns[-1] + 1 - columns[0]) / cell)) + 2 * MARGIN_CELLS)
    pad = int(np.ceil((MARGIN_CELLS + 2) * cell))
    padded = np.pad(figure, pad)
    signed = ndimage.distance_transform_edt(padded) - ndimage.distance_transform_edt(~padded)
    signed = np.where(signed > 0, signed - 0.5, signed + 0.5)
    to_picture = np.array([[cell, 0, origin[0] + 0.5 * cell - 0.5], [0, cell, origin[1] + 0.5 * cell - 0.5]])
    to_padded = to_picture + [[0, 0, pad], [0, 0, pad]]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    blurred = ndimage.gaussian_filter(signed, 0.35 * cell) if cell > 1 else signed
    size = (shape[1], shape[0])
    distance = cv2.warpAffine(blurred, to_padded, size, flags=flags, borderMode=cv2.BORDER_REPLICATE) / cell
    smooth = cv2.GaussianBlur(rgb, (0, 0), max(0.3, 0.4 * cell))
    colour = cv2.warpAffine(smooth, to_picture, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    lab = cv2.cvtColor(colour.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).astype(np.float64)
    face = None if joints.face_px is None else (joints.face_px - origin) / cell
    return FigureGrid(cell, origin, distance, lab, (joints.points_px - origin) / cell, face, float(cells))


def segment_distance(
    points: Float[np.ndarray, "*batch 2"], a: Float[np.ndarray, "2"], b: Float[np.ndarray, "2"]
) -> Float[np.ndarray, "*batch"]:
    """How far points are from a segment."""
    along = b - a
    share = np.clip(((points - a) @ along) / max(along @ along, 1e-9), 0, 1)
    return np.linalg.norm(points - a - share[..., None] * along, axis=-1)


def bone_line(grid: FigureGrid, part: str) -> Float[np.ndarray, "point 2"]:
    """A part's joints from its root to its tip, in grid coordinates."""
    return np.stack([grid[name] for name in LINES[part]])


def _sources(grid: FigureGrid) -> Int[np.ndarray, "row column"]:
    """Cells that surely belong to a part; −1 elsewhere. Limbs start a little away from the torso."""
    shape = grid.distance.shape
    sources = np.full(shape, -1, np.int32)

    def draw(part: str, line: Float[np.ndarray, "point 2"], width: int) -> None:
        canvas = np.zeros(shape, np.uint8)
        cv2.polylines(canvas, [np.round((line - 0.5) * 16).astype(np.int32)], False, 1, width, shift=4)
        sources[(canvas > 0) & grid.mask & (sources < 0)] = PARTS.index(part)

    for side in ("left", "right"):
        line = bone_line(grid, f"{side}_arm").copy()
        line[0] += 0.35 * (line[1] - line[0])
        draw(f"{side}_arm", line, 1)
        line = bone_line(grid, f"{side}_leg").copy()
        line[0] += 0.25 * (line[1] - line[0])
        draw(f"{side}_leg", line, 1)
    head, neck, top = grid["head"], grid["neck"], grid["head_top"]
    draw("head", np.stack([head + 0.15 * (top - head), top]), 1)
    middle, reach = 0.5 * (head + top), 0.5 * float(np.linalg.norm(top - head))
    column, row = np.clip(np.floor(middle).astype(int), 0, np.array(shape[::-1]) - 1)
    # The skull: the largest disc there that stays inside the silhouette and above the jaw.
    skull = np.zeros(shape, np.uint8)
    radius = max(0.9 * min(float(grid.distance[row, column]), 1.1 * reach), 1.0)
    cv2.circle(skull, (int(column), int(row)), round(radius), 1, -1)
    sources[(skull > 0) & grid.mask & (sources < 0)] = PARTS.index("head")
    shoulders, hips = [grid["right_shoulder"], grid["left_shoulder"]], [grid["left_hip"], grid["right_hip"]]
    hull = np.stack(shoulders + hips)
    # Shoulder and hip joints lie inside the body, the hull's lower half is narrower than the waist.
    hull = hull.mean(0) + (hull - hull.mean(0)) * (0.8, 0.92)
    canvas = np.zeros(shape, np.uint8)
    cv2.fillConvexPoly(canvas, cv2.convexHull(np.round(hull).astype(np.int32)), 1)
    sources[(canvas > 0) & grid.mask & (sources < 0)] = PARTS.index("torso")
    draw("torso", np.stack([neck, grid["hips"]]), 2)
    return sources


def label_parts(grid: FigureGrid) -> Int[np.ndarray, "row column"]:
    """The part of each cell of the figure (an index of PARTS), −1 outside.

    A cell belongs to the bone with the shortest path to it inside the silhouette, where crossing an edge of colour
    costs more.
    """
    mask = grid.mask
    index = np.full(mask.shape, -1)
    index[mask] = np.arange(mask.sum())
    edge = np.sqrt(sum(ndimage.gaussian_gradient_magnitude(grid.lab[..., c], 0.8) ** 2 for c in range(3)))
    cost = 1.0 + 1.5 * np.clip(edge / 12.0, 0, 4)
    starts, ends, lengths = [], [], []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here = (slice(0, mask.shape[0] - dy), slice(max(0, -dx), mask.shape[1] - max(0, dx)))
        there = (slice(dy, mask.shape[0]), slice(max(0, dx), mask.shape[1] + min(0, dx)))
        both = mask[here] & mask[there]
        starts.append(index[here][both])
        ends.append(index[there][both])
        lengths.append(np.hypot(dx, dy) * 0.5 * (cost[here][both] + cost[there][both]))
    count = int(mask.sum())
    graph = sparse.csr_matrix(
        (np.concatenate(lengths), (np.concatenate(starts), np.concatenate(ends))), shape=(count, count)
    )
    seeds = _sources(grid)
    seeded = np.flatnonzero(seeds[mask] >= 0)
    distance, _, nearest = dijkstra(graph, directed=False, indices=seeded, min_only=True, return_predecessors=True)
    flat = np.where(np.isfinite(distance), seeds[mask][np.clip(nearest, 0, None)], PARTS.index("torso"))
    labels = np.full(mask.shape, -1)
    labels[mask] = flat
    return _free_limbs(grid, _smooth_labels(labels, seeds))


def _smooth_labels(
    labels: Int[np.ndarray, "row column"], seeds: Int[np.ndarray, "row column"]
) -> Int[np.ndarray, "row column"]:
    """Majority in a small window, then only the pieces that hold enough seeds; other ones join the part around them."""
    mask = labels >= 0
    votes = np.stack([ndimage.gaussian_filter((labels == part).astype(float), 1.2) for part in range(len(PARTS))])
    smooth = np.where(mask, votes.argmax(0), -1)
    settled = smooth.copy()
    for part in range(len(PARTS)):
        pieces, count = ndimage.label(smooth == part)
        if count > 1:
            held = np.bincount(pieces[(seeds == part) & (pieces > 0)], minlength=count + 1)
            seeded = np.flatnonzero(held > MIN_SEED_SHARE * held.sum())
            loose = (pieces > 0) & ~np.isin(pieces, seeded)
            if len(seeded) and loose.any():
                # Not to the part itself, which may be the nearest beyond a gap.
                others = (smooth >= 0) & (smooth != part)
                nearest = ndimage.distance_transform_edt(~others, return_distances=False, return_indices=True)
                settled[loose] = smooth[tuple(nearest)][loose]
    return settled


def limb_radius(grid: FigureGrid, labels: Int[np.ndarray, "row column"], part: str) -> float:
    """Median half width of a limb along its bones, in cells."""
    own = labels == PARTS.index(part)
    width = ndimage.distance_transform_edt(own)
    line = bone_line(grid, part)[:3]
    share = np.linspace(0.25, 0.9, 12)[:, None]
    samples = np.concatenate([a + share * (b - a) for a, b in itertools.pairwise(line)])
    pixel = np.clip(np.floor(samples).astype(int), 0, np.array(own.shape[::-1]) - 1)
    # A bone that lies a little beside the limb's middle still finds the middle close by.
    near = ndimage.maximum_filter(width, 5)[pixel[:, 1], pixel[:, 0]]
    near = near[near > 0]
    return float(np.median(near)) if len(near) else 0.03 * grid.height


def _free_limbs(grid: FigureGrid, labels: Int[np.ndarray, "row column"]) -> Int[np.ndarray, "row column"]:
    """Give hair, wings and tails that lie far from a limb's bones, and touch head or trunk too, to head or trunk."""
    rows, columns = labels.shape
    cells = np.stack(np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5), -1)
    labels = labels.copy()
    for part in PARTS[2:6]:
        index = PARTS.index(part)
        reach = (2.3 if "arm" in part else 2.6) * limb_radius(grid, labels, part)
        line = bone_line(grid, part)
        away = np.min([segment_distance(cells, a, b) for a, b in itertools.pairwise(line)], 0)
        pieces, count = ndimage.label((labels == index) & (away > reach))
        for piece in range(1, count + 1):
            own = pieces == piece
            around = labels[ndimage.binary_dilation(own) & ~own]
            limb, trunk, head = (int(np.sum(around == other)) for other in (index, 0, 1))
            if trunk + head > 0.35 * limb:
                labels[own] = PARTS.index("head") if head > trunk else PARTS.index("torso")
    return labels
