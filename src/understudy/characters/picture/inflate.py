"""From a figure's silhouette and parts to a volume: every part is given a round cross-section of its own."""

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage, sparse
from scipy.sparse.linalg import spsolve

from understudy.characters.picture.joints import POINTS
from understudy.characters.picture.loose_parts.finding import LooseParts
from understudy.characters.picture.parts import PARTS, FigureGrid, bone_line, limb_radius, segment_distance
from understudy.characters.picture.profiles import body_hand, body_profiles
from understudy.geometry.vectors import smooth_step
from understudy.runtime.checks import check_options

__all__ = ["InflateConfig", "PartVolume", "inflate_parts", "stylisation"]

SIDES = ("left", "right")
JOINT_DEPTHS = {
    "neck": 0.0, "head": 0.007, "head_top": 0.007,
    "elbow": -0.010, "wrist": 0.008, "hand": 0.014, "ankle": -0.004, "toe": -0.004,
}  # fmt: skip
"""z of a person's joints before (+) or behind the figure's middle plane, in its heights: arms that hang at ease bend
forward below the elbow, and heels stand behind the hips. Stylised figures have less of it."""
HEAD_FRONT, HEAD_BACK, CHIN = 1.72, 0.98, 0.12
"""Depth of a person's head before and behind the skull's joint, in half widths of the head, and how much more of it
the chin takes, where a height field falls off."""
STYLISED_TORSO, STYLISED_HEAD, STYLISED_LEG = 0.95, 1.35, 1.0
"""Depth before and behind the bone, in half widths, of figures whose head is a third of them."""
SLAB_BLUR = 0.05
"""Sigma of the blur over a part's slices, as a share of their number."""
SKIRT_DEPTH = 0.85
"""Depth of a skirt over its width: hips are wider than deep, its hem nearly round."""
FLAT_SHARE = 0.7
"""How thick bags, wings and tails beside the trunk are, of what a part of the body would be there."""
CAPE_CELLS, CAPE_GAP_CELLS = 1.3, 1.2
"""Half thickness of a cape, and how far behind the back it hangs: thinner ones would tear on the grid."""
TOE_SHARE = 0.80
"""How much of a foot's length lies before its ankle: our body's 0.78, and what smoothing takes off the toes."""
FOOT_WIDTHS, FOOT_GROWTH = 2.8, 0.095
"""A foot's length is at most so many of its widths (our body's: 2.7), and at most so much of the figure's height more
than its width: with shoes, 0.155 of the height for people (Drillis and Contini 1966: 0.152)."""
EAR_SHARE, MIN_EAR, EAR_GAIN = 0.65, 0.06, 0.4
"""Ears are narrower than this share of the head, have at least this area in squares of its half width, and are so much
thinner than they would be as limbs."""
OPEN_LENGTH, FIST_LENGTH, FIST_STOUTNESS = 0.085, 0.06, 0.034
"""Of a person's open hand and of a fist: length, and of the fist half its diagonal, in the figure's heights."""
MAX_HAND_DEPTH = 2.2
"""Depth over width of a person's hand that shows its edge, at most: what is thinner is no hand, but a string."""
MITTEN_DEPTH, HELD_GAIN = 0.8, 0.75
"""Depth over width of a stylised figure's hand, and by how much flatter than a limb is what a hand holds."""
HALF_WIDTH_QUANTILE = 0.98
"""Of the distances from the outline: the half width of a part, which one spike of the outline cannot widen."""


@dataclass(frozen=True)
class InflateConfig:
    """How a silhouette becomes a body."""

    depth_scale: float = 1.0
    """Multiplies all depth: more than one for stout figures."""
    gap: float = 1.3
    """Width in cells of the empty wall between an arm and the body, and between the legs."""

    def __post_init__(self) -> None:
        check_options(self, depth_scale=(0.01, 10), gap=(0, 10))


@dataclass(frozen=True)
class PartVolume:
    """One part as a height field: its surface is at z = centre ± gain · √square, z towards the viewer in cells."""

    square: Float[np.ndarray, "row column"]
    """Square of the half thickness; negative outside the part."""
    centre: Float[np.ndarray, "row column"]
    front: Float[np.ndarray, "row column"]
    """Gain of the half that faces the viewer."""
    back: Float[np.ndarray, "row column"]


def stylisation(grid: FigureGrid) -> float:
    """0 for human proportions, 1 for a figure whose head is a third of it: such figures are rounder."""
    head = np.linalg.norm(grid["head_top"] - grid["head"]) / grid.height
    return float(np.clip((head - 0.14) / 0.18, 0, 1))


def inflate_parts(
    grid: FigureGrid, parts: LooseParts, config: InflateConfig = InflateConfig()
) -> tuple[dict[str, PartVolume], Float[np.ndarray, " 20"]]:
    """A height field for each of PARTS, and each joint's z in cells.

    Source of the height fields: Baran and Lehtinen 2009, Notes on Inflating Curves (−∇²u = k, half thickness √u);
    proportions of depth to width from human anatomy, rounder for stylised figures.
    """
    style = stylisation(grid)
    labels = parts.labels
    torso = _torso(grid, parts, style, config)
    depths = _joint_depths(grid, labels, torso, style)
    volumes = {"torso": torso, "head": _head(grid, labels, depths, style, config)}
    for side in SIDES:
        volumes[f"{side}_arm"] = _arm(grid, labels, depths, side, style, config)
        volumes[f"{side}_leg"] = _leg(grid, parts, depths, side, style, config)
    volumes["cape"] = _cape(grid, parts.sheet, torso)
    return volumes, depths


def _cape(grid: FigureGrid, sheet: Bool[np.ndarray, "row column"], torso: PartVolume) -> PartVolume:
    """A sheet that hangs straight down behind the back's farthest point; without a cape nothing."""
    ones = np.ones(sheet.shape)
    edge = ndimage.distance_transform_edt(sheet) - 0.5
    square = np.where(sheet, np.minimum(edge / 1.5, 1.0) * CAPE_CELLS**2, -1.0)
    back = (torso.back * np.sqrt(np.maximum(torso.square, 0)) - torso.centre).max(1)
    rows = np.arange(len(back))
    trunk = (rows >= grid["neck"][1]) & (rows <= grid["hips"][1])
    behind = np.maximum.accumulate(np.where(trunk, back, 0.0)) + CAPE_CELLS + CAPE_GAP_CELLS
    behind = ndimage.gaussian_filter1d(behind, 3.0, mode="nearest")
    return PartVolume(square, -behind[:, None] * ones, ones, ones)


def _cells(grid: FigureGrid) -> Float[np.ndarray, "row column 2"]:
    """The centre (x, y) of each cell in grid coordinates."""
    rows, columns = grid.distance.shape
    return np.stack(np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5), -1)


def _line_distance(cells: Float[np.ndarray, "row column 2"], line: Float[np.ndarray, "point 2"]) -> np.ndarray:
    return np.min([segment_distance(cells, a, b) for a, b in itertools.pairwise(line)], 0)


def _along(
    cells: Float[np.ndarray, "row column 2"], line: Float[np.ndarray, "point 2"], values: Float[np.ndarray, " point"]
) -> Float[np.ndarray, "row column"]:
    """Values at a line's points, carried to each cell from the nearest place of the line, a little blurred."""
    best = np.full(cells.shape[:2], np.inf)
    out = np.zeros(cells.shape[:2])
    for a, b, va, vb in zip(line[:-1], line[1:], values[:-1], values[1:], strict=True):
        direction = b - a
        share = np.clip(((cells - a) @ direction) / max(direction @ direction, 1e-9), 0, 1)
        distance = np.linalg.norm(cells - a - share[..., None] * direction, axis=-1)
        nearer = distance < best
        best = np.where(nearer, distance, best)
        out = np.where(nearer, va + share * (vb - va), out)
    return ndimage.gaussian_filter(out, 2.0)


def _poisson(domain: Bool[np.ndarray, "row column"], k: float) -> Float[np.ndarray, "row column"]:
    """Solve −∇²u = k inside the domain, u = 0 outside."""
    count = int(domain.sum())
    u = np.zeros(domain.shape)
    if count == 0:
        return u
    index = np.full(domain.shape, -1)
    index[domain] = np.arange(count)
    matrix = [sparse.diags_array(np.full(count, 4.0))]
    for axis in (0, 1):
        a, b = (index[:-1], index[1:]) if axis == 0 else (index[:, :-1], index[:, 1:])
        both = (a >= 0) & (b >= 0)
        pair = sparse.coo_array((-np.ones(both.sum()), (a[both], b[both])), shape=(count, count))
        matrix += [pair, pair.T]
    u[domain] = spsolve(sum(matrix[1:], matrix[0]).tocsc(), np.full(count, k))
    return u


def _square(
    grid: FigureGrid,
    domain: Bool[np.ndarray, "row column"],
    k: float,
    cap: Float[np.ndarray, "row column"],
    silhouette: Float[np.ndarray, "row column"] | None = None,
) -> Float[np.ndarray, "row column"]:
    """The capped Poisson height field, with an edge that follows the silhouette more finely than the cells do."""
    mask = grid.mask
    nearest = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    reached = domain[tuple(nearest)]
    inner = ndimage.distance_transform_edt(np.pad(reached, 1, mode="edge"))[1:-1, 1:-1]
    outer = ndimage.distance_transform_edt(~reached)
    cut = ndimage.gaussian_filter(np.where(reached, inner - 0.5, 0.5 - outer), 0.8)
    edge = np.minimum(grid.distance if silhouette is None else silhouette, cut)
    u = _poisson(edge > 0, k)
    u = (cap * np.tanh(np.sqrt(u) / cap)) ** 2
    inside = edge > 0
    slope = np.where(inside, u / np.maximum(edge, 0.5), 0.0)
    weight = ndimage.gaussian_filter(inside.astype(float), 1.5)
    slope = ndimage.gaussian_filter(slope, 1.5) / np.maximum(weight, 1e-6)
    nearest = ndimage.distance_transform_edt(~inside, return_distances=False, return_indices=True)
    slope = slope[tuple(nearest)]
    return np.where(edge > 2, u, slope * edge + np.where(inside, (u - slope * edge) * np.clip(edge / 2, 0, 1), 0))


def _hull(grid: FigureGrid, shrink: float = 1.0) -> Bool[np.ndarray, "row column"]:
    """The quadrilateral of shoulders and hips."""
    corners = np.stack([grid[n] for n in ("right_shoulder", "left_shoulder", "left_hip", "right_hip")])
    corners = corners.mean(0) + shrink * (corners - corners.mean(0))
    canvas = np.zeros(grid.distance.shape, np.uint8)
    cv2.fillConvexPoly(canvas, cv2.convexHull(np.round(corners).astype(np.int32)), 1)
    return (canvas > 0) & grid.mask


def _thigh_root(grid: FigureGrid, labels: Int[np.ndarray, "row column"], side: str) -> Bool[np.ndarray, "row column"]:
    """The thigh's upper part, whatever lies over it."""
    hip, knee = grid[f"{side}_hip"], grid[f"{side}_knee"]
    away = segment_distance(_cells(grid), hip, hip + 0.35 * (knee - hip))
    return grid.mask & (away < limb_radius(grid, labels, f"{side}_leg"))


def _torso(grid: FigureGrid, parts: LooseParts, style: float, config: InflateConfig) -> PartVolume:
    """Chest, belly and pelvis: flatter than wide; carried on behind the arms, into the neck and the thighs; with a
    skirt, which is nearly round."""
    cells, labels = _cells(grid), parts.labels
    domain = (labels == PARTS.index("torso")) | _hull(grid, 0.97)
    own = domain.copy()
    for side in SIDES:
        arm, leg = limb_radius(grid, labels, f"{side}_arm"), limb_radius(grid, labels, f"{side}_leg")
        near = ndimage.distance_transform_edt(~own)
        to_shoulder = np.linalg.norm(cells - grid[f"{side}_shoulder"], axis=-1)
        is_arm = labels == PARTS.index(f"{side}_arm")
        domain |= is_arm & ((to_shoulder < 1.2 * arm) | (near < 0.3 * arm))
        to_hip = np.linalg.norm(cells - grid[f"{side}_hip"], axis=-1)
        domain |= (labels == PARTS.index(f"{side}_leg")) & ((to_hip < 1.1 * leg) | (near < 0.8 * leg))
    neck_width = 0.30 * np.linalg.norm(grid["left_shoulder"] - grid["right_shoulder"])
    column = _line_distance(cells, np.stack([grid["neck"], 0.6 * grid["head"] + 0.4 * grid["head_top"]]))
    domain |= (labels == PARTS.index("head")) & (column < max(neck_width * 0.55, 2.0))
    half_width = float(np.quantile(ndimage.distance_transform_edt(own)[own], HALF_WIDTH_QUANTILE))
    ratio = (0.72 + 0.18 * style) * config.depth_scale
    away = ndimage.distance_transform_edt(~(_hull(grid, 0.97) | parts.skirt))
    # Wings, tails and wide gowns are thin: the farther from the trunk, the flatter.
    thin = np.exp(-((np.maximum(away - 0.7 * half_width, 0) / (0.8 * half_width)) ** 2))
    cap = half_width * ratio * (0.18 + 1.1 * thin)
    square = _square(grid, domain, 2 * ratio**2, cap)
    # Up the spine from the hips (0) to the neck (1).
    spine = grid["neck"] - grid["hips"]
    share = ((cells - grid["hips"]) @ spine) / max(spine @ spine, 1e-9)
    front, back = _gains(share, ("torso",), style, STYLISED_TORSO)
    scale = config.depth_scale * _missing_depth(square, own & ~parts.flat & (thin > 0.5), share)
    square = square * (1 - ndimage.gaussian_filter(parts.flat.astype(float), 1.5) * (1 - FLAT_SHARE**2))
    volume = PartVolume(square, np.zeros_like(square), scale * front, scale * back)
    return _with_skirt(volume, parts.skirt) if parts.skirt.any() else volume


def _with_skirt(torso: PartVolume, skirt: Bool[np.ndarray, "row column"]) -> PartVolume:
    """The torso with a skirt that is nearly round in every row and stays open at its hem, where a height field would
    close it like a balloon."""
    rows = np.flatnonzero(skirt.any(1))
    # Where it starts, legs part in the middle: the trunk's cells there are of the same cloth.
    skirt = skirt | ((torso.square > 0) & (np.arange(len(skirt)) >= rows[0])[:, None])
    down = np.arange(rows[0], rows[-1] + 1)
    left, right = (np.interp(down, rows, [np.flatnonzero(skirt[row])[end] for row in rows]) for end in (0, -1))
    sigma = 0.08 * len(down)
    left, right = (ndimage.gaussian_filter1d(edge, sigma, mode="nearest") for edge in (left, right + 1))
    middle, half = 0.5 * (left + right), np.maximum(0.5 * (right - left), 1.0)
    columns = np.arange(skirt.shape[1]) + 0.5
    round_square = np.zeros_like(torso.square)
    round_square[down] = half[:, None] ** 2 - (columns - middle[:, None]) ** 2
    share = np.zeros_like(torso.square)
    share[down] = smooth_step((down - rows[0]) / (0.3 * len(down)))[:, None]
    share = np.where(skirt, share, 0.0)
    inside = np.maximum(round_square, np.where(skirt, 0.25, 0.0))
    return PartVolume(
        np.where(skirt, (1 - share) * torso.square + share * inside, torso.square),
        (1 - share) * torso.centre,
        (1 - share) * torso.front + share * SKIRT_DEPTH,
        (1 - share) * torso.back + share * SKIRT_DEPTH,
    )


def _gains(
    share: Float[np.ndarray, "row column"], names: tuple[str, ...], style: float, stylised: float
) -> tuple[Float[np.ndarray, "row column"], Float[np.ndarray, "row column"]]:
    """How far a part's surface lies before and behind its bones, in the half width that it has there: as a person's;
    of stylised figures, `stylised` everywhere.

    Args:
        share: of each cell along the bones; bone n, of profile names[n], takes n … n + 1.
    """
    at = np.linspace(-0.5, len(names) + 0.5, 64)
    bone = np.clip(np.floor(at).astype(int), 0, len(names) - 1)
    profiles = body_profiles()
    person = np.array([np.ravel(profiles[names[n]].at(np.array([t - n]))) for n, t in zip(bone, at, strict=True)])
    gain = ndimage.gaussian_filter1d((1 - style) * person + style * stylised, 2.0, axis=0, mode="nearest")
    front, back = (np.interp(share.ravel(), at, gain[:, side]).reshape(share.shape) for side in (0, 1))
    return front, back


def _missing_depth(
    square: Float[np.ndarray, "row column"], own: Bool[np.ndarray, "row column"], share: Float[np.ndarray, "row column"]
) -> Float[np.ndarray, "row column"]:
    """By how much √square must grow so that it rises, at each place along the bone, to the part's half width there.

    A height field rises to that in a long strip; at a waist or a shoulder it stays below.
    """
    if not own.any():
        return np.ones_like(square)
    slabs = max(int(np.ptp(np.flatnonzero(own.any(1))) / 3), 4)
    edges = np.linspace(share[own].min(), share[own].max() + 1e-6, slabs + 1)
    which = np.clip(np.searchsorted(edges, share, "right") - 1, 0, slabs - 1)
    length = (np.ptp(np.flatnonzero(own.any(1))) + 1) / slabs
    width = 0.5 * np.bincount(which[own], minlength=slabs) / length
    height = np.zeros(slabs)
    np.maximum.at(height, which[own], np.sqrt(np.maximum(square[own], 0)))
    width, height = (ndimage.gaussian_filter1d(values, SLAB_BLUR * slabs, mode="nearest") for values in (width, height))
    missing = np.clip(width / np.maximum(height, 0.5), 0.7, 2.0)
    grown = np.interp(share.ravel(), 0.5 * (edges[1:] + edges[:-1]), missing).reshape(share.shape)
    return ndimage.gaussian_filter(grown, 2.0)


def _joint_depths(
    grid: FigureGrid, labels: Int[np.ndarray, "row column"], torso: PartVolume, style: float
) -> Float[np.ndarray, " 20"]:
    """z of each joint: near the middle plane; an arm that lies over the trunk is brought before it."""
    tall, human = grid.height, 1 - style
    depth: dict[str, float] = dict.fromkeys(POINTS, 0.0)
    for name, share in JOINT_DEPTHS.items():
        for joint in (name,) if name in depth else (f"{side}_{name}" for side in SIDES):
            depth[joint] = share * tall * human
    trunk = _hull(grid, 1.0)
    for side in SIDES:
        trunk |= _thigh_root(grid, labels, side)
    inside = ndimage.distance_transform_edt(trunk)
    surface = torso.centre + torso.front * np.sqrt(np.maximum(torso.square, 0))
    for side in SIDES:
        radius = limb_radius(grid, labels, f"{side}_arm")
        for name in ("elbow", "wrist", "hand"):
            column, row = np.floor(grid[f"{side}_{name}"]).astype(int)
            row, column = np.clip(row, 0, inside.shape[0] - 1), np.clip(column, 0, inside.shape[1] - 1)
            over = smooth_step(inside[row, [column]] / max(radius, 1.0))
            depth[f"{side}_{name}"] += float(over[0]) * float(surface[row, column] + 0.7 * radius)
    return np.array([depth[name] for name in POINTS])


def _head(
    grid: FigureGrid,
    labels: Int[np.ndarray, "row column"],
    depths: Float[np.ndarray, " 20"],
    style: float,
    config: InflateConfig,
) -> PartVolume:
    """A ball; a human head is deeper than it is wide."""
    cells = _cells(grid)
    own = labels == PARTS.index("head")
    line = bone_line(grid, "head")
    reach = max(float(np.linalg.norm(line[0] - line[1])), 4.0)
    domain = own | (grid.mask & (np.linalg.norm(cells - grid["head"], axis=-1) < 0.25 * reach))
    width = (
        float(np.quantile(ndimage.distance_transform_edt(own)[own], HALF_WIDTH_QUANTILE)) if own.any() else 0.5 * reach
    )
    ratio = (1.12 - 0.17 * style) * config.depth_scale
    away = np.maximum(_line_distance(cells, line) - 1.15 * width, 0)
    cap = width * ratio * (0.3 + 1.4 * np.exp(-((away / (0.6 * width)) ** 2)))
    # Taller than wide, a head needs less than the 4 of a ball to be `ratio` times as deep as wide.
    square = _square(grid, domain, 2.9 * ratio**2, cap)
    square = square * _ear_gain(own, width, grid["head"][1]) ** 2
    front = (1 - style) * HEAD_FRONT + style * STYLISED_HEAD
    back = (1 - style) * HEAD_BACK + style * STYLISED_HEAD
    rows = np.flatnonzero(own.any(1)) if own.any() else np.arange(2)
    down = (cells[..., 1] - rows[0]) / max(float(np.ptp(rows)), 1.0)
    ones = np.ones_like(square)
    front = front * (1 + CHIN * (1 - style) * smooth_step((down - 0.6) / 0.3))
    scale = config.depth_scale * width / max(float(np.sqrt(max(square.max(), 0))), 1.0)
    return PartVolume(square, np.full_like(square, depths[1]), scale * front * ones, scale * back * ones)


def _ear_gain(own: Bool[np.ndarray, "row column"], width: float, jaw: float) -> Float[np.ndarray, "row column"]:
    """What √square of a head of this half width is multiplied by: ears or horns that stand out above the row of
    its jaw are plates."""
    core = ndimage.distance_transform_edt(own) >= EAR_SHARE * width
    skull = ndimage.distance_transform_edt(~core) < EAR_SHARE * width + 1.0
    out = own & ~skull & (np.arange(len(own))[:, None] + 0.5 < jaw)
    pieces, count = ndimage.label(out)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    sizes[0] = 0
    large = sizes > MIN_EAR * width**2
    # More than three are the spikes of a crown, which goes round the head.
    ears = (large & (large.sum() <= 3))[pieces]
    return 1 - (1 - EAR_GAIN) * ndimage.gaussian_filter(ears.astype(float), 1.0)


def _arm(
    grid: FigureGrid,
    labels: Int[np.ndarray, "row column"],
    depths: Float[np.ndarray, " 20"],
    side: str,
    style: float,
    config: InflateConfig,
) -> PartVolume:
    """Round, rooted a little inside the shoulder; what hangs far from its bones (a bag, a sleeve) is flat."""
    cells = _cells(grid)
    part = f"{side}_arm"
    radius = limb_radius(grid, labels, part)
    line = bone_line(grid, part)
    to_shoulder = np.linalg.norm(cells - line[0], axis=-1)
    domain = (labels == PARTS.index(part)) | ((labels == PARTS.index("torso")) & (to_shoulder < 1.1 * radius))
    # Below hair that hangs over it the arm goes on.
    domain |= (labels == PARTS.index("head")) & (_line_distance(cells, line) < radius)
    away = np.maximum(_line_distance(cells, line) - 1.3 * radius, 0)
    cap = radius * config.depth_scale * (0.4 + 1.4 * np.exp(-((away / radius) ** 2)))
    square = _square(grid, domain, 2.0 * config.depth_scale**2, cap)
    square = square * _hand_gain(square, labels == PARTS.index(part), cells, line, grid.height, style) ** 2
    values = np.array([depths[POINTS.index(f"{side}_{name}")] for name in ("shoulder", "elbow", "wrist", "hand")])
    ones = np.ones_like(square)
    return PartVolume(square, _along(cells, line, values), ones, ones)


def _hand_gain(
    square: Float[np.ndarray, "row column"],
    own: Bool[np.ndarray, "row column"],
    cells: Float[np.ndarray, "row column 2"],
    line: Float[np.ndarray, "point 2"],
    tall: float,
    style: float,
) -> Float[np.ndarray, "row column"]:
    """What √square of an arm is multiplied by beyond its wrist, so that the hand is as deep as a hand that looks as
    wide: of one that shows its edge the picture hides the palm. Mittens of stylised figures are stout."""
    reach = max(float(np.linalg.norm(line[3] - line[2])), 1.0)
    along = (line[3] - line[2]) / reach
    beyond = (cells - line[2]) @ along
    aside = (cells - line[2]) @ (along[1], -along[0])
    longest = min(1.6 * reach, (0.13 + 0.07 * style) * tall)
    hand = own & (beyond > 0) & (beyond < longest) & (np.abs(aside) < 0.6 * longest)
    if not hand.any():
        return np.ones_like(square)
    length = float(beyond[hand].max())
    share = beyond / length
    slabs = int(np.clip(length, 2, 10))
    which = np.clip((share[hand] * slabs).astype(int), 0, slabs - 1)
    width = 0.5 * np.bincount(which, minlength=slabs) / (length / slabs)
    height = np.zeros(slabs)
    np.maximum.at(height, which, np.sqrt(np.maximum(square[hand], 0)))
    middle = (np.arange(slabs) + 0.5) / slabs
    stout = np.interp(middle, *body_hand()) * length
    is_open = smooth_step((length / tall - FIST_LENGTH) / (OPEN_LENGTH - FIST_LENGTH))
    stout = is_open * stout + (1 - is_open) * FIST_STOUTNESS * tall
    human = np.sqrt(np.maximum(stout**2 - width**2, np.maximum(0.09 * length, 0.5 * width) ** 2))
    human = np.minimum(human, MAX_HAND_DEPTH * width)
    depth = (1 - style) * human + style * MITTEN_DEPTH * width
    gain = ndimage.gaussian_filter1d(depth / np.maximum(height, 1.0), 0.1 * slabs, mode="nearest")
    gain = np.interp(share.ravel(), middle, gain).reshape(share.shape)
    # What it holds is no hand.
    held = smooth_step(np.maximum((share - 1) / 0.15, (np.abs(aside) - 0.6 * length) / (0.2 * length)))
    return 1 + smooth_step(share / 0.2) * (gain + held * (HELD_GAIN - gain) - 1)


def _leg(
    grid: FigureGrid,
    parts: LooseParts,
    depths: Float[np.ndarray, " 20"],
    side: str,
    style: float,
    config: InflateConfig,
) -> PartVolume:
    """Round, rooted in the pelvis, with a foot that points to the viewer."""
    cells, labels = _cells(grid), parts.labels
    part = f"{side}_leg"
    radius = limb_radius(grid, labels, part)
    line = bone_line(grid, part)
    own = labels == PARTS.index(part)
    to_hip = np.linalg.norm(cells - line[0], axis=-1)
    near = ndimage.distance_transform_edt(~own) if own.any() else to_hip
    trunk = (labels == PARTS.index("torso")) & ~parts.flat
    domain = own | (trunk & ((to_hip < 1.2 * radius) | (near < 0.9 * radius)))
    # A hand in a pocket must not cut the leg off.
    domain |= _thigh_root(grid, labels, side)
    # Below a skirt the leg goes on.
    domain |= parts.skirt & (_line_distance(cells, line) < 0.9 * radius)
    away = np.maximum(_line_distance(cells, line) - 1.4 * radius, 0)
    cap = radius * config.depth_scale * (0.5 + 1.6 * np.exp(-((away / radius) ** 2)))
    # The field goes on below the sole, so that the foot does not thin out towards the ground.
    below = np.minimum(grid.distance, 1e9)
    rows = np.flatnonzero(own.any(1))
    sole = float(rows[-1] + 1) if len(rows) else grid["hips"][1]
    ankle = line[2]
    square = _square(grid, domain, 2.0 * config.depth_scale**2, cap, below)
    centre = _along(
        cells, line, np.array([depths[POINTS.index(f"{side}_{n}")] for n in ("hip", "knee", "ankle", "toe")])
    )
    share = _along(cells, line, np.array([0.0, 1.0, 2.0, 2.0]))
    front, back = _gains(share, ("thigh", "shin"), style, STYLISED_LEG)
    tall = sole - ankle[1]
    if tall < 1.0:
        return PartVolume(square, centre, front, back)
    foot = own & (cells[..., 1] > ankle[1] + 0.3 * tall)
    width = foot.sum() / max(1, np.count_nonzero(foot.any(1)))
    length = min(FOOT_WIDTHS * width, FOOT_GROWTH * grid.height + width)
    aside = abs(line[3][0] - ankle[0])
    length = float(np.sqrt(max(length**2 - aside**2, (0.45 * length) ** 2)))
    t = (cells[..., 1] - ankle[1]) / tall
    # Within the foot the half thickness rises at once from its edges, which makes the sole flat.
    half = np.sqrt(max(float(np.quantile(square[foot], 0.9)), 1.0)) if foot.any() else radius
    toe_box = smooth_step((t - 0.1) / 0.5)
    edge = np.clip(grid.distance / 1.2, 0, 1)
    flat = np.where(own, np.maximum(square, half**2 * edge * 0.8), square)
    square = np.where(square > 0, square + toe_box * (flat - square), square)
    # The instep slopes from the ankle down to the toes.
    forward, heel = smooth_step((t - 0.05) / 0.75), smooth_step((t + 0.2) / 0.5)
    front = front + forward * np.maximum(TOE_SHARE * length / half - front, 0)
    back = back + heel * ((1 - TOE_SHARE) * length / half - back)
    return PartVolume(square, centre, front, back)
