"""One picture as the texture of a whole body: what it shows in front, what it hides from the same cloth and hair."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components

from understudy.characters.picture.paint.charts import Texels, lay_charts, texels_of
from understudy.characters.picture.paint.exemplar import continued
from understudy.characters.picture.paint.front_only import front_only
from understudy.characters.picture.paint.heads import LEFT_EYE, RIGHT_EYE, head_behind
from understudy.characters.picture.paint.seen import GROUP_OF, Seen, carried_out, seen_in
from understudy.characters.picture.paint.shading import unshaded
from understudy.characters.picture.paint.sides import DEPTHS, sides_of
from understudy.characters.picture.paint.wrap import FAR, Wrap, wrap_from
from understudy.characters.picture.parts import PARTS, FigureGrid, bone_line
from understudy.characters.picture.volume import adjacency
from understudy.geometry.vectors import smooth_step

__all__ = ["Painted", "paint"]

HEAD = PARTS.index("head")
SEEN_COSINE = 0.4
"""Of the angle of about 55° to the view up to which the picture's pixels are as good as any."""
RELIEF_ROUNDS = 6
"""Rounds of smoothing by which a nose's steep sides count as the face that they are on."""
LEVEL_COST = 5.0
"""A step along a part's bone costs more than one around it: hems, belts and stripes go on around at their level."""
FACE_REACH = 1.0
"""Cells over which the rim of a face is mirrored: farther inside are its features, and at its rim is its hairline."""
CALM = 0.35
"""Of a head's width: what is smaller is not carried around it."""
HOOD = 0.5
"""Of a head's half width, from its outline: what covers its back is seen there, what it covers, farther inside."""
MIN_SURE = 0.3
"""Of the hair that is seen: of so much of it, the rest is not needed."""
MADE_UP = 9.0
"""Cells across what is not kept of a back whose front is not shown there."""
BOOT = 0.2
"""Of a shin, above the ankle."""
QUIET = (0.5, 2.5)
"""Cells beyond the rim of what is seen over which the picture, mirrored, gives way to quiet sides."""
FRONT_ROUNDS = 2
"""Rounds of smoothing over which what the front alone has ends at its rim."""


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
            mine = group_at == group
            colour[own.index] = _painted(grid, labels, seen, own, vertices, normals, faces, part_at, mine, edges)
    texture = _filled(colour.reshape(size, size, 3), texels)
    return Painted(texture, charts.old, charts.faces, charts.place / charts.side)


def _painted(
    grid: FigureGrid,
    labels: Int[np.ndarray, "row column"],
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
    mean = adjacency(faces, len(vertices))
    edges = edges[own[edges[:, 0]]]
    front, back = _turned(normals, mean, edges, own)
    directions = _bone_directions(grid)
    straight = front | back
    wrap = _wrap(vertices, normals, edges, straight, directions[part_at], seen)
    panels = _panels(grid, labels, seen, vertices, part_at, own, directions)
    corner, share = faces[texels.face], texels.share
    shown = front.astype(float)
    for _ in range(FRONT_ROUNDS):
        shown = mean @ shown

    def at(value: Float[np.ndarray, " vertex"]) -> Float[np.ndarray, "texel 1"]:
        return np.einsum("tc,tc->t", share, value[corner])[:, None]

    def looked_up(around: Float[np.ndarray, "vertex 2"]) -> Float[np.ndarray, "texel 2"]:
        place = np.where(straight[:, None], vertices[:, :2] * [1, -1], around)
        return np.einsum("tc,tci->ti", share, place[corner])

    place = looked_up(wrap.place())
    direct = panels.front.colours(place)
    away = np.where(straight, 0.0, wrap.away)
    aside = smooth_step((at(away) - QUIET[0]) / (QUIET[1] - QUIET[0]))
    head = part_at == HEAD
    on_head = at((head & ~front).astype(float))
    aside = np.maximum(aside, at((_on_foot(grid, vertices, part_at) & ~front).astype(float)))

    def around(panel: Seen, max_reach: Float[np.ndarray, " vertex"] | float) -> Float[np.ndarray, "texel 3"]:
        """Of the back as the panel has it, of sides without what is there only once, of heads calm all around."""
        place = looked_up(wrap.place(max_reach))
        levels = [looked_up(wrap.within(depth, max_reach)) for depth in DEPTHS]
        near = panel.colours(place)
        near += aside * (sides_of(panel).colours(levels, place) - near)
        if panels.calm > 0:
            near += on_head * (sides_of(panel, panels.calm, panels.hairy).colours(levels, place) - near)
        return near

    if panels.hair is None:
        colour = around(panels.behind, FAR)
    else:
        in_hair = smooth_step(np.clip(at(panels.inside) / 1.4 + 0.5, 0, 1))
        colour = around(panels.behind, np.where(head, FACE_REACH, FAR))
        colour += in_hair * (around(panels.hair, FAR) - colour)
    return colour + at(shown) * (direct - colour)


def _turned(
    normals: Float[np.ndarray, "vertex 3"],
    mean: sparse.csr_matrix,
    edges: Int[np.ndarray, "edge 2"],
    own: Bool[np.ndarray, " vertex"],
) -> tuple[Bool[np.ndarray, " vertex"], Bool[np.ndarray, " vertex"]]:
    """Which vertices look to the viewer, and which away, so that the picture's pixels are as good as any."""
    smooth = normals
    for _ in range(RELIEF_ROUNDS):
        smooth = mean @ smooth
    facing = smooth[:, 2] / np.maximum(np.linalg.norm(smooth, axis=1), 1e-6)
    front, back = own & (facing > SEEN_COSINE), own & (facing < -SEEN_COSINE)
    front = front | own & _islands(edges, ~front, normals[:, 2] > 0)
    back = back | own & _islands(edges, ~back, normals[:, 2] < 0)
    return front, back & ~front


def _wrap(
    vertices: Float[np.ndarray, "vertex 3"],
    normals: Float[np.ndarray, "vertex 3"],
    edges: Int[np.ndarray, "edge 2"],
    straight: Bool[np.ndarray, " vertex"],
    directions: Float[np.ndarray, "vertex 2"],
    seen: Seen,
) -> Wrap:
    """Where sides find their colour: as far inside the nearer rim, of front or back, as they are away from it, so that
    front, side and back join without a seam."""
    beside = np.zeros(len(vertices), bool)
    for a, b in ((0, 1), (1, 0)):
        beside[edges[~straight[edges[:, b]], a]] = True
    rim = straight & beside
    edges = edges[(~straight | rim)[edges].all(1)]
    step = vertices[edges[:, 0]] - vertices[edges[:, 1]]
    along = (step[:, :2] * [1, -1] * directions[edges[:, 0]]).sum(1)
    cost = np.hypot(np.linalg.norm(step, axis=1), (LEVEL_COST - 1) * along)
    place = vertices[:, :2] * [1, -1]
    return wrap_from(vertices, normals, edges, cost, straight, rim, seen.cloth[..., 3]).at_level(place, directions)


@dataclass(frozen=True)
class _Panels:
    """A group's pictures, all seen from the front."""

    front: Seen
    """What the picture shows; what hides it in part is filled in."""
    behind: Seen
    """Without what the front alone has."""
    hair: Seen | None
    """A head's hair, hood or helmet without the face; None: it has none."""
    hairy: Bool[np.ndarray, "row column"]
    """Where the head's hair, hood or helmet is seen; all of the head, if it has none."""
    calm: float
    """Cells across what the sides and the back of a head do not have; 0: no head."""
    inside: Float[np.ndarray, " vertex"]
    """How far inside the hair each vertex is, in cells."""


def _panels(
    grid: FigureGrid,
    labels: Int[np.ndarray, "row column"],
    seen: Seen,
    vertices: Float[np.ndarray, "vertex 3"],
    part_at: Int[np.ndarray, " vertex"],
    own: Bool[np.ndarray, " vertex"],
    directions: Float[np.ndarray, "part 2"],
) -> _Panels:
    """Front and back of a group, holes filled by patches of the same parts."""
    parts = np.unique(part_at[own])
    shown = (seen.cloth[..., 3] > 0) & np.isin(labels, parts)
    nearest = ndimage.distance_transform_edt(~shown, return_distances=False, return_indices=True)
    part = labels[tuple(nearest)] if shown.any() else labels
    covered = np.zeros(labels.shape, bool)
    column, row = np.clip(np.floor(vertices[own, :2] * [1, -1]).astype(int), 0, np.array(labels.shape[::-1]) - 1).T
    covered[row, column] = True
    hidden = ndimage.binary_closing(covered, iterations=2) & (seen.cloth[..., 3] <= 0)
    hidden = ndimage.binary_opening(hidden) & grid.mask
    core = shown & (seen.cloth[..., 3] > np.minimum(1.0, 0.5 * seen.cloth[..., 3].max()))
    front = seen.with_picture(continued(seen.picture, hidden, core, part, directions))
    alone = front_only(seen, np.where(shown, part, -1), tuple(int(p) for p in parts if p != HEAD), directions)
    head = shown & (part == HEAD)
    found = head_behind(grid, vertices, seen, head, own & (part_at == HEAD))
    alone |= found.features
    source = core & ~alone
    calm = CALM * 2 * float(seen.cloth[head, 3].max(initial=0.0))
    if found.bare is None:
        behind = _quiet(seen, continued(front.picture, alone | hidden, source, part, directions, HEAD), alone)
        return _Panels(front, behind, None, head, calm, found.inside)
    # What is beside a face is skin; what is behind it is hair.
    skin = source & (~head | found.bare)
    behind = _quiet(seen, continued(front.picture, alone | hidden, skin, part, directions, HEAD), alone & ~head)
    bare = found.bare | (part == HEAD) & hidden
    locks = core & head & ~bare
    for sure in (seen.cloth[..., 3] < HOOD * seen.cloth[head, 3].max(), _above_the_eyes(grid, labels.shape)):
        if (locks & sure).sum() > MIN_SURE * locks.sum():
            bare, locks = bare | head & ~sure, locks & sure
    hair = seen.with_picture(continued(behind.picture, bare, core & head & ~bare, part, directions, HEAD))
    return _Panels(front, behind, hair, locks, calm, found.inside)


def _quiet(seen: Seen, picture: Float[np.ndarray, "height width 3"], where: Bool[np.ndarray, "row column"]) -> Seen:
    """What is made up in the middle of a back has no lines of its own: a collar or a hem is not drawn there again."""
    quiet = sides_of(seen.with_picture(picture), MADE_UP).picture
    share = cv2.resize(where.astype(np.float32), picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)[..., None]
    return seen.with_picture(picture + share * (quiet - picture))


def _above_the_eyes(grid: FigureGrid, shape: tuple[int, int]) -> Bool[np.ndarray, "row column"]:
    """Where hair, hood and hat are most surely seen; all of the grid, if no face was found."""
    eyes = np.inf if grid.face is None else 0.5 * (grid.face[LEFT_EYE] + grid.face[RIGHT_EYE])[1]
    return np.broadcast_to((np.arange(shape[0]) + 0.5 < eyes)[:, None], shape)


def _on_foot(
    grid: FigureGrid, vertices: Float[np.ndarray, "vertex 3"], part_at: Int[np.ndarray, " vertex"]
) -> Bool[np.ndarray, " vertex"]:
    """Feet and boots, whose backs have neither laces nor toes."""
    foot = np.zeros(len(vertices), bool)
    for side in ("left", "right"):
        ankle, knee = grid[f"{side}_ankle"][1], grid[f"{side}_knee"][1]
        low = -vertices[:, 1] > ankle - BOOT * max(ankle - knee, 0.0)
        foot |= low & (part_at == PARTS.index(f"{side}_leg"))
    return foot


def _islands(
    edges: Int[np.ndarray, "edge 2"], unseen: Bool[np.ndarray, " vertex"], turned: Bool[np.ndarray, " vertex"]
) -> Bool[np.ndarray, " vertex"]:
    """Unseen pieces that are turned to the viewer all over: the steep sides of a nose, not those of a head."""
    inside = edges[unseen[edges].all(1)]
    graph = sparse.coo_matrix((np.ones(len(inside)), (inside[:, 0], inside[:, 1])), (len(unseen), len(unseen)))
    _, piece = connected_components(graph, directed=False)
    around = np.bincount(piece, unseen & ~turned) > 0
    return unseen & ~around[piece]


def _bone_directions(grid: FigureGrid) -> Float[np.ndarray, "part 2"]:
    """Along each part, in grid coordinates."""
    directions = []
    for part in PARTS:
        line = bone_line(grid, "torso" if part == "cape" else part)
        along = line[min(2, len(line) - 1)] - line[0]
        directions.append(along / max(float(np.linalg.norm(along)), 1e-6))
    return np.array(directions)


def _filled(colour: Float[np.ndarray, "size size 3"], texels: Texels) -> UInt8[np.ndarray, "size size 4"]:
    """Between charts the nearest texel's colour, so that filters find no other one there."""
    known = np.zeros(colour.shape[:2], bool)
    known.ravel()[texels.index] = True
    levels = np.clip(carried_out(colour, known) + 0.5, 0, 255).astype(np.uint8)
    return np.dstack([levels, np.full(levels.shape[:2], 255, np.uint8)])
