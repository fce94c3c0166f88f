"""Clothes, hair and shoes over a body in the T-pose.

A garment is a copy of the skin, cut along the zero line of a signed field (metres inside its outline), taken outwards
and given a rim, so that hems are smooth lines whatever the mesh.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.spatial import ConvexHull, cKDTree

from understudy.body.model import SEGMENTS, BodyModel, ShapedBody
from understudy.core.character import Material
from understudy.core.motion import BODY_JOINTS
from understudy.geometry.meshes import vertex_normals
from understudy.geometry.vectors import smooth_step

__all__ = ["ClothingPart", "garment", "joined", "shoe", "skin_piece", "smoothed"]

RIM_M = 0.004
"""How deep below the skin the rim of a hem ends."""


@dataclass(frozen=True)
class ClothingPart:
    """Part of a dressed person, in the T-pose: metres; each vertex moves with two of the body's, by shares."""

    vertices: Float[np.ndarray, "vertex 3"]
    faces: Int[np.ndarray, "face 3"]
    carriers: Int[np.ndarray, "vertex 2"]
    """The vertices of the body whose skin weights are mixed."""
    share: Float[np.ndarray, " vertex"]
    """Of the second carrier."""
    material: Material


def garment(
    model: BodyModel,
    body: ShapedBody,
    field_m: Float[np.ndarray, " vertex"],
    thickness_m: Float[np.ndarray, " vertex"] | float,
    material: Material,
    drape: Float[np.ndarray, "vertex 3"] | None = None,
) -> ClothingPart:
    """A shell over the body where `field_m` (distance inside the outline) is positive.

    `drape` is the body as the cloth lies over it, such as `smoothed` gives; None: the body itself.
    """
    skin, cloth = body.vertices, body.vertices if drape is None else drape
    normals = vertex_normals(cloth, model.faces)
    step = smooth_step(field_m / 0.02)[:, None]
    # Where smoothing drew the cloth inwards, the body must not show through.
    sunk = np.maximum(((skin - cloth) * normals).sum(1), 0.0)[:, None]
    full = np.broadcast_to(thickness_m, len(skin))[:, None]
    outer = (1 - step) * skin + step * cloth + (0.5 * full * (1 + step) + step * sunk) * normals
    faces, carriers, share = _cut(model.faces, field_m)

    def mixed(values: Float[np.ndarray, "vertex 3"]) -> Float[np.ndarray, "cut 3"]:
        return (1 - share)[:, None] * values[carriers[:, 0]] + share[:, None] * values[carriers[:, 1]]

    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    keys = np.sort(edges, 1) @ [len(share), 1]
    _, first, count = np.unique(keys, return_index=True, return_counts=True)
    hem = edges[first[count == 1]]
    rim = np.unique(hem)
    below = np.zeros(len(share), int)
    below[rim] = len(share) + np.arange(len(rim))
    a, b = hem.T
    strip = np.concatenate([np.stack([b, a, below[a]], 1), np.stack([b, below[a], below[b]], 1)])
    vertices = np.concatenate([mixed(outer), mixed(skin - RIM_M * vertex_normals(skin, model.faces))[rim]])
    return ClothingPart(
        vertices,
        np.concatenate([faces, strip]),
        np.concatenate([carriers, carriers[rim]]),
        np.concatenate([share, share[rim]]),
        material,
    )


def _cut(
    faces: Int[np.ndarray, "face 3"], field: Float[np.ndarray, " vertex"]
) -> tuple[Int[np.ndarray, "cut 3"], Int[np.ndarray, "new 2"], Float[np.ndarray, " new"]]:
    """The part of a mesh where the field is positive: faces, and for each vertex its two sources and their mix."""
    positive = field > 0
    count = positive[faces].sum(1)
    whole = faces[count == 3]

    def turned(some: Int[np.ndarray, "n 3"], odd: Bool[np.ndarray, "n 3"]) -> Int[np.ndarray, "n 3"]:
        """Corners turned so that the odd one comes first."""
        start = odd.argmax(1)[:, None]
        return np.take_along_axis(some, (start + [0, 1, 2]) % 3, 1)

    one = turned(faces[count == 1], positive[faces[count == 1]])
    two = turned(faces[count == 2], ~positive[faces[count == 2]])
    crossing = np.concatenate([one[:, [0, 1]], one[:, [0, 2]], two[:, [1, 0]], two[:, [2, 0]]])
    ends, index = np.unique(np.sort(crossing, 1), axis=0, return_inverse=True)
    new = len(field) + index.reshape(4 if not len(crossing) else -1)[: len(crossing)]
    n, m = len(one), len(two)
    first, second = new[:n], new[n : 2 * n]
    third, fourth = new[2 * n : 2 * n + m], new[2 * n + m :]
    cut = np.concatenate(
        [
            whole,
            np.stack([one[:, 0], first, second], 1),
            np.stack([third, two[:, 1], two[:, 2]], 1),
            np.stack([third, two[:, 2], fourth], 1),
        ]
    )
    own = np.arange(len(field))
    carriers = np.concatenate([np.stack([own, own], 1), ends])
    f0, f1 = field[ends[:, 0]], field[ends[:, 1]]
    share = np.concatenate([np.zeros(len(field)), f0 / (f0 - f1)])
    used, renumbered = np.unique(cut, return_inverse=True)
    return renumbered.reshape(cut.shape), carriers[used], share[used]


def skin_piece(
    model: BodyModel,
    body: ShapedBody,
    wanted: Bool[np.ndarray, " vertex"],
    covered_m: Float[np.ndarray, " vertex"],
    material: Material,
) -> ClothingPart:
    """The skin of some vertices, without what lies deeper than 5 cm under clothes (`covered_m`)."""
    keep = wanted[model.faces].any(1) & ~(covered_m[model.faces] > 0.05).all(1)
    used, renumbered = np.unique(model.faces[keep], return_inverse=True)
    faces = renumbered.reshape(-1, 3)
    return ClothingPart(body.vertices[used], faces, np.stack([used, used], 1), np.zeros(len(used)), material)


def smoothed(model: BodyModel, body: ShapedBody, rounds: int) -> Float[np.ndarray, "vertex 3"]:
    """The body without its fine detail: each round moves vertices half way to the mean of their neighbours."""
    average, vertices = _neighbour_average(model.faces, len(body.vertices)), body.vertices
    for _ in range(rounds):
        vertices = 0.5 * vertices + 0.5 * (average @ vertices)
    return vertices


def shoe(model: BodyModel, body: ShapedBody, side: str, ankle_m: float, material: Material) -> ClothingPart:
    """A shoe or boot that reaches up to `ankle_m` over the ground: around the convex outline of the foot per level."""
    own = np.isin(model.vertex_segment, [SEGMENTS.index(f"{side}_{part}") for part in ("foot", "shin")])
    foot = np.flatnonzero(own & (body.vertices[:, 1] < ankle_m + 0.1))
    # Shins have few vertices: places along the edges fill the gaps between them.
    edges = model.faces[own[model.faces].all(1)][:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    part = np.linspace(0, 1, 8)[:, None, None]
    points = (part * body.vertices[edges[:, 0]] + (1 - part) * body.vertices[edges[:, 1]]).reshape(-1, 3)
    levels = np.concatenate([np.linspace(0.0, 0.10, 9), np.linspace(0.10, ankle_m, 8)[1:]]) if ankle_m > 0.12 else (
        np.linspace(0.0, ankle_m, 9)
    )  # fmt: skip
    middle = body.joints[BODY_JOINTS.index(f"{side.capitalize()}Foot")][[0, 2]]
    around = np.linspace(0, 2 * np.pi, 41)[:-1]
    out = np.stack([np.sin(around), np.cos(around)], 1)
    reach_m = np.stack([_outline_reach(points, level, middle, out) for level in levels])
    reach_m = gaussian_filter(reach_m, (0.8, 1.2), mode=("nearest", "wrap"))
    # Upper leather is thicker than the skin; the edge of the sole is a little rounded.
    reach_m = reach_m + 0.008 + 0.003 * np.clip(levels / 0.008, 0, 1)[:, None]
    plan = middle + reach_m[..., None] * out
    grid = np.stack([plan[..., 0], np.broadcast_to(levels[:, None], reach_m.shape), plan[..., 1]], -1).reshape(-1, 3)
    count, i = len(around), np.arange(len(around))
    after = (i + 1) % count
    last = (len(levels) - 1) * count
    faces = [np.stack([after, i, np.full(count, len(grid))], 1)]
    for ring in range(0, last, count):
        faces += [
            np.stack([ring + i, ring + after, ring + after + count], 1),
            np.stack([ring + i, ring + after + count, ring + i + count], 1),
        ]
    faces.append(np.stack([last + i, last + after, np.full(count, len(grid) + 1)], 1))
    ends = np.array([[middle[0], 0.0, middle[1]], [middle[0], levels[-1], middle[1]]])
    vertices = np.concatenate([grid, ends])
    carrier = foot[cKDTree(body.vertices[foot]).query(vertices)[1]]
    return ClothingPart(
        vertices, np.concatenate(faces), np.stack([carrier, carrier], 1), np.zeros(len(vertices)), material
    )


def _outline_reach(
    points: Float[np.ndarray, "n 3"], level_m: float, middle: Float[np.ndarray, "2"], out: Float[np.ndarray, "ray 2"]
) -> Float[np.ndarray, " ray"]:
    """How far the convex outline of the points near a level reaches from `middle` along each ray."""
    # The toes count from the sole up to where they are highest, so that the shoe has a toe cap.
    low, high = (-0.01, max(level_m, 0.03) + 0.012) if level_m < 0.06 else (level_m - 0.012, level_m + 0.012)
    near = points[(points[:, 1] > low) & (points[:, 1] < high) & (points[:, 1] > level_m - 0.03)][:, [0, 2]]
    hull = ConvexHull(near)
    normals, offsets = hull.equations[:, :2], -hull.equations[:, 2]
    speed, gap = out @ normals.T, offsets - normals @ middle
    return np.where(speed > 1e-6, np.maximum(gap, 0.0) / np.maximum(speed, 1e-6), np.inf).min(1)


def joined(pieces: list[ClothingPart]) -> tuple[ClothingPart, Int[np.ndarray, " face"], Float[np.ndarray, "vertex 2"]]:
    """All pieces as one, which piece each face is from, and texture coordinates.

    Each piece is projected from the front to its texture's left half and from behind to the right half, where x and y
    of the T-pose run over the piece's own bounds.
    """
    vertices, faces, carriers, shares, number, uv = [], [], [], [], [], []
    count = 0
    for index, piece in enumerate(pieces):
        corners = piece.vertices[piece.faces]
        ahead = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] >= 0
        low, size = piece.vertices[:, :2].min(0), np.ptp(piece.vertices[:, :2], axis=0)
        share = (piece.vertices[:, :2] - low) / size
        both = np.concatenate([piece.vertices, piece.vertices])
        vertices.append(both)
        carriers.append(np.tile(piece.carriers, (2, 1)))
        shares.append(np.tile(piece.share, 2))
        u = 0.01 + 0.48 * share[:, 0]
        v = 0.01 + 0.98 * (1 - share[:, 1])
        uv.append(np.concatenate([np.stack([u, v], 1), np.stack([u + 0.5, v], 1)]))
        faces.append(piece.faces + count + np.where(ahead, 0, len(piece.vertices))[:, None])
        number.append(np.full(len(piece.faces), index))
        count += len(both)
    merged = ClothingPart(
        np.concatenate(vertices),
        np.concatenate(faces),
        np.concatenate(carriers),
        np.concatenate(shares),
        pieces[0].material,
    )
    return merged, np.concatenate(number), np.concatenate(uv)


def _neighbour_average(faces: Int[np.ndarray, "face 3"], count: int) -> csr_array:
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    ones = np.ones(len(edges))
    near = csr_array(coo_array((ones, (edges[:, 0], edges[:, 1])), shape=(count, count)))
    near = csr_array((near + near.T).astype(bool).astype(float))
    degree = np.diff(near.indptr)
    alone = degree == 0
    return csr_array(diags_array(1 / np.where(alone, 1.0, degree)) @ near + diags_array(alone.astype(float)))
