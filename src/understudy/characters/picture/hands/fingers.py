"""Hands with fingers in place of a figure's mittens."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from understudy.characters.picture.hands.shape import KNUCKLES, WRIST, Limbs, hand_length, hand_limbs
from understudy.characters.picture.inflate import PartVolume
from understudy.characters.picture.parts import PARTS, FigureGrid
from understudy.characters.picture.volume import field_of_part, smooth_max, taubin
from understudy.geometry.vectors import smooth_step, unit

__all__ = ["SeenHand", "add_hands", "seen_hand", "without_mitten"]

MIN_LENGTH_PX = 24.0
"""Of shorter hands the picture shows no fingers."""
FINENESS = 34
"""Cells of a hand's own grid along its length."""
MARGIN = 0.35
"""Of that grid around the joints, in lengths of the hand."""
CUFF, STUMP = 0.16, 0.14
"""How far the hand goes on into the forearm, and the forearm into the hand, in lengths of the hand."""
BESIDE = 0.10
"""What lies farther beside a hand's limbs, in its lengths, is not the hand."""
MAX_HELD_SHARE = 0.35
"""Of what lies beyond the wrist: with more that is not the hand, the figure holds something and keeps its mitten."""
FOREARM_SHARE = 0.5
"""Of a hand's slope towards the viewer, how much is its forearm's, and not the wrist's."""
MIN_SEEN_SHARE = 0.75
"""Of the limbs' outline that must lie within the figure's; with less they are not this hand's."""
RADIUS_SCALES = np.linspace(0.85, 1.7, 18)
"""How much thicker than a person's a hand's limbs may be: as much as fills its outline."""
PALM_BLEND, FINGER_BLEND, EDGE_BLEND = 0.04, 0.012, 0.03
"""Over what distance limbs flow together, and into what the outline demands, in lengths of the hand."""
SMOOTHING_ROUNDS = 4
NEIGHBOURS = 6
"""So many samples of the hand's colours, and of those beside it, tell what a cell looks like."""


@dataclass(frozen=True)
class SeenHand:
    """A hand on a grid of its own, whose cells are a fraction of the figure's."""

    part: str
    """The arm that it ends."""
    step: float
    """Side of its cells, in cells of the figure."""
    origin: Float[np.ndarray, "2"]
    """Its grid's top-left corner in cells of the figure."""
    joints: Float[np.ndarray, "21 3"]
    """In its own cells from `origin`: x right, y down, z towards the viewer from the figure's middle plane."""
    thickness: float
    """Of its limbs, over a person's."""
    edge: Float[np.ndarray, "row column"]
    """Signed distance to the outline of hand and cuff, in its own cells, positive inside."""
    beyond: Float[np.ndarray, "row column"]
    """How far beyond the wrist each of its cells lies, in lengths of the hand."""
    mitten: Bool[np.ndarray, "figure_row figure_column"]
    """Cells of the figure that it replaces."""
    figure_beyond: Float[np.ndarray, "figure_row figure_column"]
    """`beyond` of the figure's cells."""

    @property
    def length(self) -> float:
        """Of the hand in cells of the figure."""
        return FINENESS * self.step


def seen_hand(
    grid: FigureGrid,
    rgb: UInt8[np.ndarray, "height width 3"],
    figure: Bool[np.ndarray, "height width"],
    labels: Int[np.ndarray, "row column"],
    arm: PartVolume,
    side: str,
    joints_px: Float[np.ndarray, "21 3"] | None,
) -> SeenHand | None:
    """The hand whose joints were seen in the picture; None where there are none, they do not fit the outline, the hand
    is too small, or it holds something."""
    if joints_px is None:
        return None
    joints = (joints_px - (*grid.origin_px, 0.0)) / grid.cell_px
    length = hand_length(joints)
    if length * grid.cell_px < MIN_LENGTH_PX:
        return None
    part, wrist = f"{side}_arm", joints[WRIST, :2]
    # Of the forearm's slope to the viewer nothing is known: half the hand's is taken for it.
    ahead = joints[list(KNUCKLES)].mean(0) - joints[WRIST]
    slope = FOREARM_SHARE * ahead[2] / max(float(ahead[:2] @ ahead[:2]), (0.1 * length) ** 2)
    joints[:, 2] += _at(arm.centre, wrist[None])[0] - slope * ((joints[:, :2] - wrist) @ ahead[:2])
    step = length / FINENESS
    low = joints[:, :2].min(0) - MARGIN * length
    columns, rows = np.ceil((joints[:, :2].max(0) + MARGIN * length - low) / step).astype(int).tolist()
    shape = rows, columns
    cells, figure_cells = low + step * _centres(shape), _centres(labels.shape)
    along = unit(unit(wrist - grid[f"{side}_elbow"]) + unit(joints[9, :2] - wrist))
    beyond, figure_beyond = ((places - wrist) @ along / length for places in (cells, figure_cells))
    is_arm = labels == PARTS.index(part)
    own = joints - (*low, 0.0)
    limbs = hand_limbs(own / step)
    shown = _silhouette(figure, grid.origin_px + grid.cell_px * low, grid.cell_px * step, shape)
    arm_here = _at(ndimage.gaussian_filter(is_arm.astype(float), 0.7), cells) > 0.5 * np.maximum(
        _at(ndimage.gaussian_filter(grid.mask.astype(float), 0.7), cells), 1e-3
    )
    colour = _colours(rgb, grid.origin_px + grid.cell_px * low, grid.cell_px * step, shape)
    arm_here = _of_the_hand(colour, shown > 0, arm_here, _depth_in_outline(limbs, _centres(shape), 1.0))
    outlines = [_depth_in_outline(limbs, _centres(shape), scale) for scale in RADIUS_SCALES]
    reach = BESIDE * FINENESS
    filled = (shown > 0) & arm_here & (outlines[3] > -reach) & (beyond > 0)
    excess = [abs(int(((o > 0) & (beyond > 0)).sum()) - int(filled.sum())) for o in outlines]
    best = int(np.argmin(excess))
    outline = outlines[best]
    if ((shown > 0) & (outline > 0)).sum() < MIN_SEEN_SHARE * (outline > 0).sum():
        return None
    pieces, _ = ndimage.label(is_arm & (figure_beyond > 0))
    near = _depth_in_outline(limbs, (figure_cells - low) / step, 1.0)
    mitten = np.isin(pieces, np.setdiff1d(np.unique(pieces[near > 0]), 0))
    held = mitten & (near < -reach)
    if held.sum() > MAX_HELD_SHARE * mitten.sum():
        return None
    aside = np.abs((cells - wrist) @ np.array([along[1], -along[0]])) / length
    region = (beyond > 0) & arm_here & (outline > -reach)
    region |= arm_here & (beyond <= 0) & (beyond > -CUFF) & (aside < 0.5)
    cut = ndimage.distance_transform_edt(region) - ndimage.distance_transform_edt(~region)
    edge = np.minimum(shown, ndimage.gaussian_filter(cut, 0.8))
    return SeenHand(part, step, low, own / step, float(RADIUS_SCALES[best]), edge, beyond, mitten, figure_beyond)


def _centres(shape: tuple[int, ...]) -> Float[np.ndarray, "row column 2"]:
    """The centre (x, y) of each cell of a grid with this shape."""
    return np.stack(np.meshgrid(np.arange(shape[1]) + 0.5, np.arange(shape[0]) + 0.5), -1)


def _at(values: Float[np.ndarray, "row column"], places: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch"]:
    """Values of cells at places (x, y) counted in cells, interpolated."""
    return ndimage.map_coordinates(values, np.moveaxis(places[..., ::-1], -1, 0) - 0.5, order=1, mode="nearest")


def _silhouette(
    figure: Bool[np.ndarray, "height width"], corner_px: Float[np.ndarray, "2"], step_px: float, shape: tuple[int, int]
) -> Float[np.ndarray, "row column"]:
    """Signed distance to the figure's outline in steps, positive inside, on a grid of this shape from `corner_px`."""
    first = np.floor(corner_px).astype(int) - 4
    last = np.ceil(corner_px + step_px * np.array(shape[::-1])).astype(int) + 4
    inside = np.zeros((last - first)[::-1], bool)
    low, high = np.maximum(first, 0), np.minimum(last, figure.shape[::-1])
    here = tuple(slice(a - f, max(b - f, a - f)) for a, b, f in zip(low[::-1], high[::-1], first[::-1], strict=True))
    inside[here] = figure[low[1] : high[1], low[0] : high[0]]
    signed = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    signed = np.where(signed > 0, signed - 0.5, signed + 0.5)
    signed = ndimage.gaussian_filter(signed, max(0.4 * step_px, 0.5))
    return _at(signed, (corner_px - first) + step_px * _centres(shape)) / step_px


def _colours(
    rgb: UInt8[np.ndarray, "height width 3"], corner_px: Float[np.ndarray, "2"], step_px: float, shape: tuple[int, int]
) -> Float[np.ndarray, "row column 3"]:
    """CIE Lab of the picture on a grid of this shape from `corner_px`."""
    smooth = cv2.GaussianBlur(rgb, (0, 0), max(0.3, 0.4 * step_px))
    start = corner_px + 0.5 * step_px - 0.5
    M = np.array([[step_px, 0, start[0]], [0, step_px, start[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    here = cv2.warpAffine(smooth, M, shape[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return cv2.cvtColor(here.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).astype(np.float64)


def _of_the_hand(
    colour: Float[np.ndarray, "row column 3"],
    shown: Bool[np.ndarray, "row column"],
    is_arm: Bool[np.ndarray, "row column"],
    outline: Float[np.ndarray, "row column"],
) -> Bool[np.ndarray, "row column"]:
    """Which cells are the arm's: before a body, whose edges labels follow coarsely, those within or near the limbs'
    outline that look more like the hand than like what lies beside it."""
    hand = shown & is_arm & (outline > 0.02 * FINENESS)
    other = shown & ~is_arm & (outline < -0.05 * FINENESS)
    if min(hand.sum(), other.sum()) < 2 * NEIGHBOURS:
        return is_arm
    to_hand, to_other = (
        np.asarray(cKDTree(colour[kind][:: max(kind.sum() // 500, 1)]).query(colour, NEIGHBOURS)[0]).mean(-1)
        for kind in (hand, other)
    )
    like_hand = ndimage.gaussian_filter((to_hand < to_other).astype(float), 0.02 * FINENESS) > 0.5
    ball = ndimage.generate_binary_structure(2, 1)
    closed = ndimage.binary_closing(like_hand & (outline > 0), ball, iterations=2)
    doubtful = (outline > -BESIDE * FINENESS) & ~(is_arm & (outline > 0.03 * FINENESS))
    return np.where(doubtful, closed | (like_hand & is_arm), is_arm)


def _depth_in_outline(
    limbs: tuple[Limbs, tuple[Limbs, ...]], places: Float[np.ndarray, "row column 2"], scale: float
) -> Float[np.ndarray, "row column"]:
    """How deep places in the picture lie within the outline of limbs that are `scale` times as thick."""
    flat = places.reshape(-1, 2)
    return np.max([one.depth(flat, scale).max(0) for one in (limbs[0], *limbs[1])], 0).reshape(places.shape[:2])


def without_mitten(arm: PartVolume, hand: SeenHand) -> PartVolume:
    """The arm, which ends as a rounded stump within the hand."""
    wrist = hand.mitten & (hand.figure_beyond < STUMP)
    thick = max(float(arm.square[wrist].max()), 1.0) if wrist.any() else 1.0
    cap = thick * (1 - (hand.figure_beyond / STUMP) ** 2)
    return replace(arm, square=np.where(hand.mitten, np.minimum(arm.square, cap), arm.square))


def add_hands(
    hands: Iterable[tuple[SeenHand, PartVolume]],
    vertices: Float[np.ndarray, "vertex 3"],
    faces: Int[np.ndarray, "face 3"],
    part_at: Int[np.ndarray, " vertex"],
) -> tuple[Float[np.ndarray, "more 3"], Int[np.ndarray, "more_face 3"], Int[np.ndarray, " more"]]:
    """The figure's surface with its hands: closed surfaces of their own, which begin inside the forearms.

    Args:
        hands: each with its whole arm, mitten and all.
    """
    for hand, arm in hands:
        own, own_faces = hand_surface(hand, arm)
        faces = np.concatenate([faces, own_faces + len(vertices)])
        vertices = np.concatenate([vertices, own])
        part_at = np.concatenate([part_at, np.full(len(own), PARTS.index(hand.part))])
    return vertices, faces, part_at


def hand_surface(hand: SeenHand, arm: PartVolume) -> tuple[Float[np.ndarray, "vertex 3"], Int[np.ndarray, "face 3"]]:
    """The closed surface of a hand in cells of the figure (x right, y up, z to the viewer)."""
    limbs = hand_limbs(hand.joints)
    flesh = _flesh(hand, arm, limbs)
    reach = 0.25 * FINENESS
    z = np.arange(
        np.floor(min(hand.joints[:, 2].min(), flesh.centre.min()) - reach),
        np.ceil(max(hand.joints[:, 2].max(), flesh.centre.max()) + reach) + 1,
    )
    rows, columns = hand.edge.shape
    y, x, depth = np.meshgrid(np.arange(rows) + 0.5, np.arange(columns) + 0.5, z, indexing="ij")
    places = np.stack([x, y, depth], -1).reshape(-1, 3)
    palm, fingers = limbs
    body = _united(palm.depth(places, hand.thickness), [one.depth(places, hand.thickness) for one in fingers])
    body = body.reshape(depth.shape)
    before_wrist = FINENESS * np.maximum(-hand.beyond, 0)[..., None]
    blend = EDGE_BLEND * FINENESS
    body = -smooth_max(-(body - 2 * before_wrist), -hand.edge[..., None] * np.ones_like(body), blend)
    body = smooth_max(body, field_of_part(flesh, z), blend)
    body = np.minimum(body, FINENESS * (hand.beyond + CUFF)[..., None])
    pieces, count = ndimage.label(body > 0)
    if count > 1:
        largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
        body = np.where((pieces > 0) & (pieces != largest), -0.5, body)
    body = np.pad(body, 1, constant_values=-1.0)
    corners, faces, _, _ = marching_cubes(body, 0.0)
    corners = taubin(corners.astype(np.float64) - 1, faces, SMOOTHING_ROUNDS)
    # Cell n of the padded grid is the hand's cell n − 1, whose centre lies half a cell further.
    vertices = hand.step * np.stack([corners[:, 1] + 0.5, -(corners[:, 0] + 0.5), corners[:, 2] + z[0]], -1)
    vertices += (hand.origin[0], -hand.origin[1], 0.0)
    faces = faces.astype(np.int64)
    volume = np.einsum("fi,fi->", vertices[faces[:, 0]], np.cross(vertices[faces[:, 1]], vertices[faces[:, 2]]))
    return vertices, faces if volume > 0 else faces[:, ::-1].copy()


def _united(
    palm: Float[np.ndarray, "limb point"], fingers: list[Float[np.ndarray, "phalanx point"]]
) -> Float[np.ndarray, " point"]:
    """The palm's limbs flow together; between fingers creases remain."""
    body = palm[0]
    for limb in palm[1:]:
        body = smooth_max(body, limb, PALM_BLEND * FINENESS)
    for finger in fingers:
        body = smooth_max(body, finger.max(0), FINGER_BLEND * FINENESS)
    return body


def _flesh(hand: SeenHand, arm: PartVolume, limbs: tuple[Limbs, tuple[Limbs, ...]]) -> PartVolume:
    """What the outline shows, at the depth of the limbs there: it fills what they leave of it. At the wrist it is the
    forearm, and dives into it."""
    share = np.linspace(0, 1, 5)[:, None, None]
    points, radii = [], []
    for one in (limbs[0], *limbs[1]):
        points.append((one.start + share * (one.end - one.start)).reshape(-1, 3))
        radii.append((one.start_radius + share[..., 0] * (one.end_radius - one.start_radius)).ravel())
    point, radius = np.concatenate(points), hand.thickness * np.concatenate(radii)
    places = _centres(hand.edge.shape)
    square_distance = ((places[:, :, None] - point[:, :2]) ** 2).sum(-1)
    weight = 1 / (square_distance + 1.0) ** 2
    weight /= weight.sum(-1, keepdims=True)
    centre, thick = weight @ point[:, 2], 0.9 * (weight @ radius)
    inner = np.clip(hand.edge, None, thick)
    square = inner * (2 * thick - np.maximum(inner, 0))
    figure_places = hand.origin + hand.step * places
    arm_square, arm_centre = _at(arm.square, figure_places) / hand.step**2, _at(arm.centre, figure_places) / hand.step
    is_arm = smooth_step((0.22 - hand.beyond) / 0.3)
    arm_square = np.minimum(arm_square, hand.edge * 2 * np.sqrt(max(float(arm_square.max()), 1.0)))
    inside = np.clip(-hand.beyond / CUFF, 0, 1)
    arm_square = arm_square * (1 - 0.5 * inside) - 0.1 * inside * thick**2
    square = is_arm * arm_square + (1 - is_arm) * square
    ones = np.ones_like(square)
    return PartVolume(square, is_arm * arm_centre + (1 - is_arm) * centre, ones, ones)
