"""Parts united into one closed surface."""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components
from skimage.measure import marching_cubes

from understudy.characters.picture.inflate import SIDES, InflateConfig, PartVolume
from understudy.characters.picture.loose_parts.finding import LooseParts
from understudy.characters.picture.parts import PARTS, FigureGrid
from understudy.geometry.meshes import vertex_normals
from understudy.geometry.vectors import smooth_step

__all__ = ["OUT_OF_THE_PICTURE", "field_of_part", "smooth_max", "surface_of_parts", "taubin"]

OUT_OF_THE_PICTURE = (0.0, 0.0, 1.0)
"""Where a vertex without faces looks: to the viewer."""

LEGS = (PARTS.index("left_leg"), PARTS.index("right_leg"))
SOLE_SHARE = 0.018
"""How thick a sole is, of the figure's height: smoothing rounds its edge off over so much."""
REACH = 6.0
"""Fields are cut off this many cells from the surface."""
SKIRT_CELLS = 2.2
"""How thick a skirt's cloth is: thinner ones would tear on the grid."""
MIN_HOLLOW_CELLS = 5
"""Of rows between hips and hem: below shorter skirts there is nothing to swing in."""
ROOF_SHARE = 0.2
"""Of the way from hip to knee where the hollow below a skirt begins: above it is the pelvis."""


def surface_of_parts(
    grid: FigureGrid,
    volumes: dict[str, PartVolume],
    config: InflateConfig,
    loose: LooseParts | None = None,
) -> tuple[Float[np.ndarray, "vertex 3"], Int[np.ndarray, "face 3"], Int[np.ndarray, " vertex"]]:
    """A closed mesh in grid cells (x right, y up from the grid's top, z to the viewer), and each vertex's part.

    A skirt becomes hollow, with legs inside that can swing; bags are kept apart from legs.

    Source: Lorensen and Cline 1987, marching cubes (Lewiner's variant in scikit-image); Taubin 1995, smoothing.
    """
    reach = max(
        float(np.max(np.abs(v.centre) + np.sqrt(np.maximum(v.square, 0)) * np.maximum(v.front, v.back)))
        for v in volumes.values()
    )
    layers = int(np.ceil(reach)) + 3
    z = np.arange(-layers, layers + 1, dtype=np.float32)
    fields = {part: field_of_part(volumes[part], z) for part in PARTS}
    roof = None if loose is None else _roof(grid, loose.skirt)
    if loose is not None and roof is not None:
        _hollow(fields, loose.skirt, roof, config.gap)
    apart = np.zeros(grid.distance.shape, bool) if loose is None else ndimage.binary_dilation(loose.flat, iterations=3)
    body = _unite(grid, volumes, fields, config, roof, apart)
    corners, faces, _, _ = marching_cubes(body, 0.0)
    values = np.stack([ndimage.map_coordinates(fields[part], corners.T, order=1) for part in PARTS], -1)
    vertices = np.stack([corners[:, 1] + 0.5, -(corners[:, 0] + 0.5), corners[:, 2] - layers], -1).astype(np.float64)
    vertices, faces, values = _drop_crumbs(vertices, faces.astype(np.int64), values)
    volume = np.einsum("fi,fi->", vertices[faces[:, 0]], np.cross(vertices[faces[:, 1]], vertices[faces[:, 2]]))
    if volume < 0:
        faces = faces[:, ::-1].copy()
    # The walls have done their work once the surface is cut: what faces a wall moves up to it again.
    ranked = np.sort(values, 1)
    at_wall = (ranked[:, -1] > 0.05) & (ranked[:, -2] > ranked[:, -1] - 1.5 * config.gap)
    push = adjacency(faces, len(vertices)) @ at_wall.astype(float)
    vertices = taubin(vertices, faces, 8)
    vertices = vertices + 0.42 * config.gap * push[:, None] * vertex_normals(vertices, faces, OUT_OF_THE_PICTURE)
    parts = values.argmax(1)
    return _stand(vertices, np.isin(parts, LEGS), SOLE_SHARE * grid.height), faces, parts


def _stand(
    vertices: Float[np.ndarray, "vertex 3"], legs: Bool[np.ndarray, " vertex"], sole: float
) -> Float[np.ndarray, "vertex 3"]:
    """Flat soles: what of each leg lies within `sole` of its lowest point comes down to it."""
    vertices = vertices.copy()
    for side in (vertices[:, 0] < np.median(vertices[legs, 0]), vertices[:, 0] >= np.median(vertices[legs, 0])):
        own = legs & side
        if own.any():
            low = vertices[own, 1].min()
            share = np.clip((vertices[own, 1] - low) / sole, 0, 1)
            vertices[own, 1] -= sole * (share - share**2)
    return vertices


def field_of_part(volume: PartVolume, z: Float[np.ndarray, " layer"]) -> Float[np.ndarray, "row column layer"]:
    """About the signed distance to a part's surface, in cells, positive inside."""
    square = volume.square.astype(np.float32)[..., None]
    offset = z - volume.centre.astype(np.float32)[..., None]
    gain = np.where(offset > 0, volume.front.astype(np.float32)[..., None], volume.back.astype(np.float32)[..., None])
    f = square - (offset / gain) ** 2
    row, column = np.gradient(volume.square)
    across = (row**2 + column**2).astype(np.float32)[..., None]
    gradient = np.sqrt(across + 4 * offset**2 / gain**4)
    return np.clip(f / (gradient + 0.4), -REACH, REACH)


def _roof(grid: FigureGrid, skirt: Bool[np.ndarray, "row column"]) -> int | None:
    """The row from which a skirt is hollow; None where it is too short for that, or there is none."""
    rows = np.flatnonzero(skirt.any(1))
    hip, knee = (0.5 * (grid[f"left_{name}"][1] + grid[f"right_{name}"][1]) for name in ("hip", "knee"))
    roof = int(np.ceil(hip + ROOF_SHARE * max(knee - hip, 0.0)))
    return roof if len(rows) and rows[-1] - roof >= MIN_HOLLOW_CELLS else None


def _hollow(
    fields: dict[str, Float[np.ndarray, "row column layer"]],
    skirt: Bool[np.ndarray, "row column"],
    roof: int,
    gap: float,
) -> None:
    """Make the torso's field that of a shell from the roof down to the hem, and keep the legs inside it."""
    hem = int(np.flatnonzero(skirt.any(1))[-1])
    inner = fields["torso"] - SKIRT_CELLS
    # The hem is open: close to it the field knows its edge, not its cloth.
    inner[hem - 2 :] = inner[hem - 3]
    down = (np.arange(len(inner)) - roof)[:, None, None].astype(np.float32)
    fields["torso"] = np.minimum(fields["torso"], -np.minimum(inner, down))
    below_hem = np.maximum(np.arange(len(inner)) - hem, 0)[:, None, None].astype(np.float32)
    for leg in (PARTS[index] for index in LEGS):
        within = np.minimum(fields[leg], inner - gap + below_hem)
        fields[leg] = np.where(down > 0, within, fields[leg])


def smooth_max(a: np.ndarray, b: np.ndarray, radius: np.ndarray | float) -> np.ndarray:
    """The larger one, rounded where both are within `radius` of each other (Quilez's polynomial smooth maximum)."""
    overlap = np.maximum(radius - np.abs(a - b), 0) / np.maximum(radius, 1e-6)
    return np.maximum(a, b) + 0.25 * overlap * overlap * radius


def _unite(
    grid: FigureGrid,
    volumes: dict[str, PartVolume],
    fields: dict[str, Float[np.ndarray, "row column layer"]],
    config: InflateConfig,
    roof: int | None,
    apart: Bool[np.ndarray, "row column"],
) -> Float[np.ndarray, "row column layer"]:
    """Head, trunk and limbs flow together at neck, shoulders and hips; elsewhere walls keep them apart.

    Below `roof` a skirt is hollow: legs keep away from it. `apart`: where what hangs beside legs is not joined to them.
    """
    rows, columns = grid.distance.shape
    x, y = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
    blend = 0.022 * grid.height

    def near(point: Float[np.ndarray, "2"], radius: float) -> np.ndarray:
        distance = np.hypot(x - point[0], y - point[1])
        return smooth_step(2.0 - distance / radius)[..., None].astype(np.float32)

    def root(side: str) -> Float[np.ndarray, "2"]:
        """Where an arm meets the trunk next to its shoulder joint, which may lie deep inside the trunk."""
        shoulder = grid[f"{side}_shoulder"]
        meet = (volumes[f"{side}_arm"].square > 0) & (volumes["torso"].square > 0)
        if not meet.any():
            return shoulder
        nearest = np.where(meet, np.hypot(x - shoulder[0], y - shoulder[1]), np.inf).argmin()
        return np.array([x.ravel()[nearest], y.ravel()[nearest]])

    legs = _walled(fields["left_leg"], fields["right_leg"], np.zeros((rows, columns, 1), np.float32), 0.0, config.gap)
    body = smooth_max(fields["torso"], fields["head"], blend)
    hip = float(np.linalg.norm(grid["left_hip"] - grid["right_hip"]))
    pelvis = np.maximum(near(grid["left_hip"], 0.8 * hip), near(grid["right_hip"], 0.8 * hip))
    if roof is not None:
        pelvis = pelvis * (np.arange(rows) < roof)[:, None, None]
    joined = smooth_max(body, legs, blend * pelvis)
    walled = _walled(body, legs, np.zeros_like(pelvis), 0.0, config.gap)
    body = np.where(apart[..., None], walled, joined)
    for side in SIDES:
        inside = volumes[f"{side}_arm"].square
        radius = 1.35 * max(np.sqrt(float(np.quantile(inside[inside > 0], 0.7))) if (inside > 0).any() else 2.0, 2.0)
        joined = np.maximum(near(grid[f"{side}_shoulder"], radius), near(root(side), radius))
        body = _walled(body, fields[f"{side}_arm"], joined, blend, config.gap)
    if (volumes["cape"].square > 0).any():
        shoulders = float(np.linalg.norm(grid["left_shoulder"] - grid["right_shoulder"]))
        body = _walled(body, fields["cape"], near(grid["neck"], 0.35 * shoulders), blend, config.gap)
    return body


def _walled(
    a: Float[np.ndarray, "row column layer"],
    b: Float[np.ndarray, "row column layer"],
    joined: Float[np.ndarray, "row column 1"],
    blend: float,
    gap: float,
) -> Float[np.ndarray, "row column layer"]:
    """The union of two parts with an empty wall where they meet; none where `joined` is one."""
    wall = np.abs(a - b) - gap + 2 * REACH * joined
    union = np.minimum(smooth_max(a, b, blend * joined), wall)
    # Where the fields change quickly the wall falls between the cells: no cell of b may touch one of a.
    apart = joined < 0.5 * gap / REACH
    touching = ndimage.binary_dilation((union > 0) & (b > a) & apart, np.ones((3, 3, 3), bool))
    return np.where(touching & (union > 0) & (a >= b) & apart, np.float32(-0.4), union)


def _drop_crumbs(
    vertices: Float[np.ndarray, "vertex 3"], faces: Int[np.ndarray, "face 3"], values: Float[np.ndarray, "vertex part"]
) -> tuple[Float[np.ndarray, "kept 3"], Int[np.ndarray, "kept_face 3"], Float[np.ndarray, "kept part"]]:
    """Without pieces of less than one percent of the vertices (bubbles inside, flakes beside walls)."""
    count = len(vertices)
    graph = sparse.coo_matrix(
        (np.ones(len(faces) * 2), (faces[:, [0, 1]].ravel(), faces[:, [1, 2]].ravel())), (count, count)
    )
    _, piece = connected_components(graph, directed=False)
    sizes = np.bincount(piece)
    keep = (sizes >= 0.01 * count)[piece]
    new = np.cumsum(keep) - 1
    return vertices[keep], new[faces[keep[faces].all(1)]], values[keep]


def adjacency(faces: Int[np.ndarray, "face 3"], count: int) -> sparse.csr_matrix:
    """Each vertex's mean over its neighbours, as a matrix."""
    a, b = faces[:, [0, 1, 2]].ravel(), faces[:, [1, 2, 0]].ravel()
    graph = sparse.coo_matrix((np.ones(len(a)), (a, b)), shape=(count, count)).tocsr()
    graph = graph + graph.T
    graph.data[:] = 1.0
    degree = np.asarray(graph.sum(1)).ravel()
    return (sparse.diags(1 / np.maximum(degree, 1)) @ graph).tocsr()


def taubin(
    vertices: Float[np.ndarray, "vertex 3"], faces: Int[np.ndarray, "face 3"], rounds: int
) -> Float[np.ndarray, "vertex 3"]:
    """Smooth without shrinking. Source: Taubin 1995."""
    mean = adjacency(faces, len(vertices))
    for _ in range(rounds):
        vertices = vertices + 0.5 * (mean @ vertices - vertices)
        vertices = vertices - 0.53 * (mean @ vertices - vertices)
    return vertices
