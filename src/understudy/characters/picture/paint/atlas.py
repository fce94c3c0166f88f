"""One picture as the texture of a whole body: what it shows in front, what it hides from the same cloth and hair."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components

from understudy.characters.picture.paint.charts import Texels, lay_charts, texels_of
from understudy.characters.picture.paint.heads import hair_of_head
from understudy.characters.picture.paint.seen import BLURS, GROUP_OF, LAB_WEIGHTS, RIM_SHARE, Seen, carried_out, seen_in
from understudy.characters.picture.paint.shading import unshaded
from understudy.characters.picture.paint.wrap import MIN_REACH, Wrap, wrap_from
from understudy.characters.picture.parts import PARTS, FigureGrid, bone_line
from understudy.characters.picture.volume import adjacency
from understudy.geometry.vectors import smooth_step

__all__ = ["Painted", "paint"]

HEAD = PARTS.index("head")
SEEN_COSINE = 0.57
"""Of the angle of about 55° to the view up to which the picture's pixels are as good as any."""
RELIEF_ROUNDS = 6
"""Rounds of smoothing by which a nose's steep sides count as the face that they are on."""
BLUR_BY_DISTANCE = 0.35
"""How blurred a colour becomes that is carried far from where it was seen, by how far."""
HEAD_REPEATS, REPEATS = 0.5, 4.0
"""How often cloth may go back and forth before its colour alone is carried on: skin beside a face has none that shows.
"""
SEAM = 8.0
"""Cells over which what comes around from the left becomes what comes around from the right."""
LEVEL_COST = 5.0
"""A step along a part's bone costs more than one around it: hems, belts and stripes go on around at their level."""
PRINT_MARGIN = 3
"""Cells around what the front alone shows in which the back does not show the front either."""
ALIKE = (10.0, 20.0)
"""Distance in Lab, lightness halved, up to which the back shows the front mirrored, and from which it never does."""
SPOT = 12.0
"""A pixel so much farther, in Lab, from what is around it than any at the sides is a zip, a buckle or a print."""
MOTTLED = 8.0
"""Standard deviation in Lab from which cloth is so busy that its colours may differ by more."""
HEAD_REACH = 2.0
"""Cells over which a head's rim is mirrored: farther inside are the features of its face."""
ALIKE_BLUR = 2.0
"""Cells over which stripes and checks become one colour."""


@dataclass(frozen=True)
class Painted:
    """A surface with its texture."""

    texture: UInt8[np.ndarray, "height width 4"]
    old: Int[np.ndarray, " corner"]
    """For each new vertex the one it was before charts split it."""
    faces: Int[np.ndarray, "face 3"]
    uv: Float[np.ndarray, "corner 2"]


def paint(
    grid: FigureGrid,
    labels: Int[np.ndarray, "row column"],
    rgb: UInt8[np.ndarray, "height width 3"],
    figure: Bool[np.ndarray, "height width"],
    vertices: Float[np.ndarray, "vertex 3"],
    normals: Float[np.ndarray, "vertex 3"],
    faces: Int[np.ndarray, "face 3"],
    part_at: Int[np.ndarray, " vertex"],
    largest_px: int,
) -> Painted:
    """Lay the surface out flat and paint it."""
    group_at = GROUP_OF[part_at]
    charts = lay_charts(vertices, faces, group_at)
    size = int(min(largest_px, np.ceil(charts.side * grid.cell_px)))
    texels = texels_of(charts, size)
    rgb = unshaded(grid, labels, rgb, vertices, normals)
    groups = seen_in(grid, labels, rgb, figure, min(grid.cell_px, size / charts.side))
    colour = np.zeros((size * size, 3), np.float32)
    edges = np.unique(np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1), axis=0)
    edges = edges[group_at[edges[:, 0]] == group_at[edges[:, 1]]]
    of_texel = np.sort(group_at[faces], 1)[:, 1][texels.face]
    for group, seen in enumerate(groups):
        own = Texels(*(value[of_texel == group] for value in (texels.index, texels.face, texels.share)))
        if len(own.index):
            colour[own.index] = _painted(grid, seen, own, vertices, normals, faces, part_at, group_at == group, edges)
    texture = _filled(colour.reshape(size, size, 3), texels)
    return Painted(texture, charts.old, charts.faces, charts.place / charts.side)


def _painted(
    grid: FigureGrid,
    seen: Seen,
    texels: Texels,
    vertices: Float[np.ndarray, "vertex 3"],
    normals: Float[np.ndarray, "vertex 3"],
    faces: Int[np.ndarray, "face 3"],
    part_at: Int[np.ndarray, " vertex"],
    own: Bool[np.ndarray, " vertex"],
    edges: Int[np.ndarray, "edge 2"],
) -> Float[np.ndarray, "texel 3"]:
    """The colours of one group's texels."""
    place = vertices[:, :2] * [1, -1]
    lab_depth = seen.at_cells(place)
    margin = RIM_SHARE * grid.height
    deepest = ndimage.maximum_filter(seen.cloth[..., 3], 2 * int(np.ceil(margin)) + 3)
    cell = np.clip(np.floor(place).astype(int), 0, np.array(deepest.shape[::-1]) - 1)
    clear = lab_depth[:, 3] > np.minimum(margin, 0.45 * deepest[cell[:, 1], cell[:, 0]])
    edges = edges[own[edges[:, 0]]]
    mean = adjacency(faces, len(vertices))
    smooth = normals
    for _ in range(RELIEF_ROUNDS):
        smooth = mean @ smooth
    facing = smooth[:, 2] / np.maximum(np.linalg.norm(smooth, axis=1), 1e-6)
    front = own & clear & (facing > SEEN_COSINE)
    front |= own & clear & _islands(edges, ~front, normals[:, 2] > 0)
    beside = np.zeros(len(vertices), bool)
    for a, b in ((0, 1), (1, 0)):
        beside[edges[~front[edges[:, b]], a]] = True
    rim = front & beside
    edges = edges[(~front | rim)[edges].all(1)]
    corner, share = faces[texels.face], texels.share
    to_left = normals[:, 0] < 0
    step = vertices[edges[:, 0]] - vertices[edges[:, 1]]
    length = np.linalg.norm(step, axis=1)
    directions = _bone_directions(grid, part_at)
    cost = np.hypot(length, (LEVEL_COST - 1) * (step[:, :2] * directions[edges[:, 0]]).sum(1))

    def wraps_from(
        sources: Bool[np.ndarray, " vertex"], cost: Float[np.ndarray, " edge"], cloth: Float[np.ndarray, "row column 4"]
    ) -> list[Wrap]:
        return [wrap_from(vertices, normals, edges, cost, front, sources & side, cloth) for side in (to_left, ~to_left)]

    head = part_at == HEAD
    hair = hair_of_head(grid, vertices, lab_depth, seen, head, rim, front)
    around = wraps_from(rim & ~hair.skin_sources, cost, seen.cloth)
    wraps = [wrap.at_level(place, directions * [1, -1]).within(np.where(head, HEAD_REACH, np.inf)) for wrap in around]
    repeats = np.where(head, HEAD_REPEATS, REPEATS)[corner[:, 0]]
    wrapped = _from_both(seen, wraps, corner, share, repeats)
    if hair.sources.any():
        inside = np.einsum("tc,tc->t", share, hair.inside[corner])
        of_head = inside > -1
        amount = smooth_step(np.clip(inside[of_head], -0.7, 0.7) / 1.4 + 0.5)[:, None]
        combed = wraps_from(hair.sources, cost, hair.seen.cloth)
        combed = [wrap.at_level(place, directions * [1, -1]) for wrap in combed]
        locks = _from_both(hair.seen, combed, corner[of_head], share[of_head], np.full(len(amount), 2 * REPEATS))
        wrapped[of_head] += amount * (locks - wrapped[of_head])
    behind = own & clear & (normals[:, 2] < -0.35)
    back = np.where(behind, _alike(seen, wraps, place), 0.0) * ~head
    for _ in range(PRINT_MARGIN):
        least = back.copy()
        for a, b in ((0, 1), (1, 0)):
            np.minimum.at(least, edges[:, a], back[edges[:, b]])
        back = least
    shown = front.astype(float)
    for turn in range(4):
        shown = shown if turn > 1 else np.where(front & ~rim, 1.0, mean @ shown)
        back = mean @ back
    shown = np.where(clear, np.maximum(shown, back), 0)
    amount = np.einsum("tc,tc->t", share, shown[corner])[:, None]
    direct = seen.colours(np.einsum("tc,tci->ti", share, place[corner]))
    return wrapped + amount * (direct - wrapped)


def _islands(
    edges: Int[np.ndarray, "edge 2"], unseen: Bool[np.ndarray, " vertex"], turned: Bool[np.ndarray, " vertex"]
) -> Bool[np.ndarray, " vertex"]:
    """Unseen pieces that are turned to the viewer all over: the steep sides of a nose, not those of a head."""
    inside = edges[unseen[edges].all(1)]
    graph = sparse.coo_matrix((np.ones(len(inside)), (inside[:, 0], inside[:, 1])), (len(unseen), len(unseen)))
    _, piece = connected_components(graph, directed=False)
    around = np.bincount(piece, unseen & ~turned) > 0
    return unseen & ~around[piece]


def _bone_directions(grid: FigureGrid, part_at: Int[np.ndarray, " vertex"]) -> Float[np.ndarray, "vertex 2"]:
    """Along each vertex's part, in the picture (x right, y up)."""
    directions = []
    for part in PARTS:
        line = bone_line(grid, "torso" if part == "cape" else part)
        along = (line[min(2, len(line) - 1)] - line[0]) * [1, -1]
        directions.append(along / max(float(np.linalg.norm(along)), 1e-6))
    return np.array(directions)[part_at]


def _from_both(
    seen: Seen,
    wraps: list[Wrap],
    corner: Int[np.ndarray, "texel 3"],
    share: Float[np.ndarray, "texel 3"],
    repeats: Float[np.ndarray, " texel"],
) -> Float[np.ndarray, "texel 3"]:
    """Wrapped from the left and from the right, whichever is nearer; softly where both meet."""
    left, right = (wrap.on(corner, share) for wrap in wraps)
    amount = smooth_step((right.away - left.away) / SEAM + 0.5)[:, None]
    a, b = (_wrapped(seen, wrap, repeats) for wrap in (left, right))
    return amount * a + (1 - amount) * b


def _wrapped(seen: Seen, wrap: Wrap, repeats: Float[np.ndarray, " texel"]) -> Float[np.ndarray, "texel 3"]:
    """The cloth that goes back and forth, and far from the rim its colour alone."""
    # Reaches are doublings of the least, each blended with the next: a smoothly varying one would make moiré.
    octave = np.maximum(np.log2(wrap.reach / MIN_REACH) - 1, 0)
    low = np.floor(octave)
    part = (octave - low)[:, None]
    cloth = (1 - part) * seen.colours(wrap.place(MIN_REACH * 2**low))
    cloth += part * seen.colours(wrap.place(MIN_REACH * 2 ** (low + 1)))
    middle = wrap.rim + 0.5 * wrap.reach[:, None] * wrap.inwards
    plain = seen.blurred_colours(middle, np.clip(BLUR_BY_DISTANCE * wrap.away, BLURS[0], BLURS[-1]))
    amount = smooth_step(wrap.away / (repeats * wrap.reach) - 1.0)[:, None]
    return cloth + amount * (plain - cloth)


def _alike(
    seen: Seen,
    wraps: list[Wrap],
    place: Float[np.ndarray, "vertex 2"],
) -> Float[np.ndarray, " vertex"]:
    """How far the back may show the front mirrored: where it is the cloth that comes around from the sides."""
    left, right = wraps
    nearer = np.where((left.away < right.away)[:, None], left.rim + left.inwards, right.rim + right.inwards)
    around, here = (seen.blurred_colours(at, np.full(len(place), ALIKE_BLUR)) for at in (nearer, place))
    around, here = (cv2.cvtColor((c[None] / 255).astype(np.float32), cv2.COLOR_RGB2LAB)[0] for c in (around, here))
    distance = np.linalg.norm((here - around) * LAB_WEIGHTS, axis=1)
    mottled = ndimage.map_coordinates(seen.mottled(), nearer.T[::-1] - 0.5, order=1, mode="nearest")
    spots = seen.spots()
    own = ndimage.map_coordinates(spots, place.T[::-1] - 0.5, order=0, mode="nearest")
    at_rim = ndimage.map_coordinates(ndimage.maximum_filter(spots, 3), nearer.T[::-1] - 0.5, order=0, mode="nearest")
    distance = np.where(own > at_rim + SPOT, np.inf, distance)
    return 1 - smooth_step((distance - np.maximum(mottled - MOTTLED, 0) - ALIKE[0]) / (ALIKE[1] - ALIKE[0]))


def _filled(colour: Float[np.ndarray, "size size 3"], texels: Texels) -> UInt8[np.ndarray, "size size 4"]:
    """Between charts the nearest texel's colour, so that filters find no other one there."""
    known = np.zeros(colour.shape[:2], bool)
    known.ravel()[texels.index] = True
    levels = np.clip(carried_out(colour, known) + 0.5, 0, 255).astype(np.uint8)
    return np.dstack([levels, np.full(levels.shape[:2], 255, np.uint8)])
