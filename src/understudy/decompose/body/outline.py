"""The body's outline against the actor's: how far clothes and girth stand off, and where limbs really are.

The surface as in Alldieck et al. 2018, Video based reconstruction of 3D people models: where the body's outline lies
inside or outside the mask's, its vertices are wanted further out or in; what many frames want together is the surface.
What single frames want beside that is the pose: a term of the fit (`outline_rows`), point to line as in Rusinkiewicz
and Levoy 2001.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array, csr_array, diags_array
from scipy.sparse.linalg import splu

from understudy.body.model import SEGMENTS, BodyModel
from understudy.decompose.body.pose_state import PlacedBody, jacobian_along
from understudy.decompose.body.terms import Linearised, Observations, State
from understudy.geometry.rigid import transform_from
from understudy.io.video.streams import read_video
from understudy.runtime.checks import check_options
from understudy.runtime.parallel import in_order
from understudy.solvers.losses import cauchy
from understudy.solvers.residuals import FrameResiduals

__all__ = ["ClothedSurface", "Outline", "OutlineConfig", "find_outline", "fit_surface", "outline_rows", "read_masks"]

CLOSED_PX = 5
"""Gaps between drawn vertices are smaller."""

BORDER_PX = 3
"""So near the picture's border it is the picture that ends there, not the actor."""
STANDING_M = 1.7
"""Of the person who is `person_px` tall."""


@dataclass(frozen=True)
class SmallMask:
    """The actor's mask in one frame, drawn small, and cut out of the picture with what can matter around it."""

    inside: Bool[np.ndarray, "height width"]
    left: int
    """Where the cutout begins in the small picture."""
    top: int
    picture: tuple[int, int]
    """Width and height of the small picture."""

    @cached_property
    def inside_px(self) -> Float[np.ndarray, "height width"]:
        """Distance to the mask's edge, negative outside."""
        return _signed_distance(self.inside)

    @cached_property
    def slopes(self) -> tuple[Float[np.ndarray, "height width"], Float[np.ndarray, "height width"]]:
        """How that distance grows, smoothed: down and to the right."""
        down, right = np.gradient(cv2.GaussianBlur(self.inside_px, (0, 0), 1.0))
        return down, right


Masks = Mapping[int, SmallMask]
"""The actor's mask in some frames."""


@dataclass(frozen=True)
class OutlineConfig:
    """How the mask is used."""

    every: int = 1
    """Only every so many frames are looked at."""
    surface_frames: int = 24
    """How many of them tell of the surface."""
    surface_rounds: int = 3
    person_px: float = 260.0
    """How tall the person is drawn."""
    farthest_m: float = 0.09
    """What stands off further is no cloth: a bag, a pose that is wrong."""
    smoothness: float = 3.0
    """How much neighbouring vertices should agree, against one frame's wish."""
    edge_px: float = 1.6
    """How near the drawn outline a vertex is part of it."""
    samples: int = 96
    """Of the outline, per frame."""
    sigma: float = 0.006
    """Standard deviation of the mask's edge, as a share of the person's height in the picture."""
    counts_as: float = 20.0
    """As how many of its samples an outline counts: neighbouring ones err alike."""
    rounds: int = 2
    """How often the outline is found anew."""
    iterations: int = 4
    """Steps in each of these rounds."""

    def __post_init__(self) -> None:
        check_options(
            self,
            every=(1, 1000),
            surface_frames=(1, 10_000),
            surface_rounds=(0, 100),
            person_px=(16, 4096),
            farthest_m=(0, 10),
            smoothness=(0, 1000),
            edge_px=(0.01, 100),
            samples=(8, 10_000),
            sigma=(1e-6, 10),
            counts_as=(0, 10_000),
            rounds=(0, 100),
            iterations=(0, 1000),
        )


@dataclass(frozen=True)
class ClothedSurface:
    """The body with what it wears, in its rest pose."""

    vertices: Float[np.ndarray, "vertex 3"]
    normals: Float[np.ndarray, "vertex 3"]
    """Of the bare body."""
    joints: Float[np.ndarray, "22 3"]

    @staticmethod
    def bare(model: BodyModel, shape: Float[np.ndarray, " component"]) -> "ClothedSurface":
        """The body of a shape without clothes."""
        full = np.pad(shape, (0, model.components - len(shape)))
        character = model.character(full)
        return ClothedSurface(character.mesh.vertices, character.mesh.normals, model.shaped(full).joints)

    def dressed(self, offset_m: Float[np.ndarray, " vertex"]) -> "ClothedSurface":
        """The surface so much further out."""
        return ClothedSurface(self.vertices + offset_m[:, None] * self.normals, self.normals, self.joints)


@dataclass(frozen=True)
class Outline:
    """Points of the body's outline and the line of the mask's edge that each belongs to; weight 0: none."""

    joint: Int[np.ndarray, "time sample"]
    """With which each point moves."""
    offset_m: Float[np.ndarray, "time sample 3"]
    """From that joint, in its frame."""
    across: Float[np.ndarray, "time sample 2"]
    """Unit normal of the edge in the picture."""
    edge_px: Float[np.ndarray, "time sample"]
    """Where the edge is along `across`."""
    weight: Float[np.ndarray, "time sample"]


def read_masks(mask: Path, first: int, seen: Observations, config: OutlineConfig) -> Masks:
    """Every so many frames of a grey video (0 … 255 is coverage), small; the video's frame `first` is frame 0."""
    masks = {}
    looked_at = range(0, len(seen), config.every)
    for frame, coverage in zip(looked_at, read_video(mask, [first + frame for frame in looked_at]), strict=True):
        if (coverage > 127).sum() < 100:
            continue
        size = min(config.person_px / seen.person_px[frame], 1.0)
        small = (max(round(coverage.shape[1] * size), 8), max(round(coverage.shape[0] * size), 8))
        inside = cv2.resize(coverage, small, interpolation=cv2.INTER_AREA) > 127
        # Vertices that are further off are of no use, even those of limbs stretched towards the camera.
        margin = round(2 * config.farthest_m / STANDING_M * size * seen.person_px[frame]) + 8
        masks[frame] = _cut_out(inside, margin)
    return masks


def _cut_out(inside: Bool[np.ndarray, "height width"], margin: int) -> SmallMask:
    """The mask's box with a margin; of an empty mask, the corner of the picture."""
    spans = []
    for axis in (1, 0):
        at = np.flatnonzero(inside.any(1 - axis)) if inside.any() else np.zeros(1, int)
        spans.append(slice(max(int(at[0]) - margin, 0), int(at[-1]) + 1 + margin))
    columns, rows = spans
    return SmallMask(inside[rows, columns], columns.start, rows.start, inside.shape[::-1])


def fit_surface(
    model: BodyModel, state: State, placed: PlacedBody, seen: Observations, masks: Masks, picture: tuple[int, int],
    config: OutlineConfig,
) -> ClothedSurface:  # fmt: skip
    """The surface that fills the masks, left and right alike; `picture` is the shot's width and height."""
    bare = ClothedSurface.bare(model, state.shape)
    frames = sorted(masks)
    if not frames:
        return bare
    frames = [frames[k] for k in np.unique(np.linspace(0, len(frames) - 1, config.surface_frames).round().astype(int))]
    offset_m = np.zeros(len(bare.vertices))
    solve = _smoother(model.faces, len(offset_m), config.smoothness)
    both = np.stack([np.arange(len(offset_m)), model.mirror_vertices])
    for _ in range(config.surface_rounds):
        wishes = np.full((len(frames), len(offset_m)), np.nan)
        dressed = bare.dressed(offset_m)

        def look(frame: int, surface: ClothedSurface = dressed) -> _Sight:
            return _look(surface, state, placed, seen, masks[frame], frame, picture, config)

        for row, sight in enumerate(in_order(look, frames)):
            wishes[row, sight.vertex] = offset_m[sight.vertex] + sight.off_m
        count = np.isfinite(wishes).sum(0)
        median = np.nanmedian(np.where(count > 0, wishes, 0.0), 0)
        # Both sides of the body wear the same.
        weight = count[both].sum(0)
        mean = (count * median)[both].sum(0) / np.maximum(weight, 1)
        # Fingers lie side by side, and edges of one would move another.
        offset_m = solve(np.where(_bare_parts(), 1.0, weight / len(frames)), np.where(_bare_parts(), 0.0, mean))
    return bare.dressed(offset_m)


def find_outline(
    model: BodyModel, surface: ClothedSurface, state: State, placed: PlacedBody, seen: Observations, masks: Masks,
    picture: tuple[int, int], config: OutlineConfig,
) -> Outline:  # fmt: skip
    """The outline of every frame that has a mask, at a state."""
    time, count = len(seen), config.samples
    joint = np.zeros((time, count), np.int64)
    offset_m, across = np.zeros((time, count, 3)), np.zeros((time, count, 2))
    edge_px, weight = np.zeros((time, count)), np.zeros((time, count))
    strongest = model.skin_joints[np.arange(len(model.skin_joints)), model.skin_weights.argmax(1)]

    def look(frame: int) -> _Sight:
        return _look(surface, state, placed, seen, masks[frame], frame, picture, config)

    for frame, sight in zip(masks, in_order(look, masks), strict=True):
        if not len(sight.vertex):
            continue
        # Vertices lie in no order along the outline: a fixed shuffle takes them from all over it.
        order = np.random.default_rng(0).permutation(len(sight.vertex))[:count]
        chosen, used = sight.vertex[order], slice(0, len(order))
        joint[frame, used] = strongest[chosen]
        R, p = placed.R_world_joint[frame, strongest[chosen]], placed.joints_m[frame, strongest[chosen]]
        offset_m[frame, used] = np.einsum("nji,nj->ni", R, sight.world[order] - p)
        across[frame, used] = sight.across[order]
        edge_px[frame, used] = (sight.px[order] * sight.across[order]).sum(1) + sight.off_px[order]
        weight[frame, used] = config.counts_as / len(order)
    return Outline(joint, offset_m, across, edge_px, weight)


def outline_rows(
    seen: Observations, state: State, lin: Linearised, outline: Outline, config: OutlineConfig
) -> FrameResiduals:
    """Points of the outline should lie on the mask's edge; along it they may slide."""
    frame = np.arange(len(seen))[:, None]
    R, p = lin.placed.R_world_joint[frame, outline.joint], lin.placed.joints_m[frame, outline.joint]
    points = p + np.einsum("tnij,tnj->tni", R, outline.offset_m)
    camera = (points - np.exp(state.log_scale) * seen.camera_position[:, None]) @ np.swapaxes(seen.R_camera_world, 1, 2)
    z = np.maximum(camera[..., 2], 0.05)
    focal = seen.K[:, None, [0, 1], [0, 1]]
    flat = camera[..., :2] / z[..., None]
    px = flat * focal + seen.K[:, None, :2, 2]
    sigma = (config.sigma * seen.person_px)[:, None]
    residual = ((px * outline.across).sum(-1) - outline.edge_px) / sigma
    per_camera = np.concatenate([outline.across * focal, -(outline.across * focal * flat).sum(-1, keepdims=True)], -1)
    d_point = (per_camera / (z * sigma)[..., None]) @ seen.R_camera_world
    d_pose = jacobian_along(lin.placed, points, outline.joint, d_point)
    # The surface is held: of what all frames share, only the scale of the camera's path matters.
    d_log_scale = -np.exp(state.log_scale) * np.einsum("tni,ti->tn", d_point, seen.camera_position)
    derivatives = {"pose": d_pose[:, :, None], "log_scale": d_log_scale[..., None, None]}
    return FrameResiduals(residual[..., None], derivatives, outline.weight, cauchy(2.0))


@dataclass(frozen=True)
class _Sight:
    """The vertices of the body's outline in one frame that have an edge of the mask beside them."""

    vertex: Int[np.ndarray, " n"]
    world: Float[np.ndarray, "n 3"]
    px: Float[np.ndarray, "n 2"]
    across: Float[np.ndarray, "n 2"]
    """Out of the body, in the picture."""
    off_px: Float[np.ndarray, " n"]
    """How far out the mask's edge is."""
    off_m: Float[np.ndarray, " n"]


def _look(
    surface: ClothedSurface, state: State, placed: PlacedBody, seen: Observations,
    mask: SmallMask, frame: int, picture: tuple[int, int], config: OutlineConfig,
) -> _Sight:  # fmt: skip
    R, p = placed.R_world_joint[frame], placed.joints_m[frame]
    T_world_mesh = transform_from(R, p - np.einsum("jik,jk->ji", R, surface.joints))
    blended = (_weights() @ T_world_mesh[:, :3].reshape(-1, 12)).reshape(-1, 3, 4)
    world = np.einsum("vij,vj->vi", blended[..., :3], surface.vertices) + blended[..., 3]
    local = (world - np.exp(state.log_scale) * seen.camera_position[frame]) @ seen.R_camera_world[frame].T
    depth = np.maximum(local[:, 2], 0.05)
    px = local[:, :2] / depth[:, None] * seen.K[frame, [0, 1], [0, 1]] + seen.K[frame, :2, 2]
    width, height = mask.picture
    small = px * [width / picture[0], height / picture[1]]
    column, row = (np.floor(small[:, k]).astype(int) - (mask.left, mask.top)[k] for k in range(2))
    rows, columns = mask.inside.shape
    # At the picture's border ends the mask, not the actor.
    (kept,) = np.nonzero(
        (column >= 0) & (column < columns) & (small[:, 0] > BORDER_PX) & (small[:, 0] < width - BORDER_PX)
        & (row >= 0) & (row < rows) & (small[:, 1] > BORDER_PX) & (small[:, 1] < height - BORDER_PX)
    )  # fmt: skip
    near_edge = _distance_from_outline(column, row, mask.inside.shape) < config.edge_px
    kept = kept[near_edge[row[kept], column[kept]]]
    column, row, depth = column[kept], row[kept], depth[kept]
    normal = (blended[kept, :, :3] @ surface.normals[kept, :, None])[..., 0] @ seen.R_camera_world[frame].T
    across = normal[:, :2] / np.maximum(np.linalg.norm(normal[:, :2], axis=1, keepdims=True), 1e-12)
    facing = np.abs((normal * local[kept]).sum(1)) / np.linalg.norm(local[kept], axis=1)
    inside_px, (down, right) = mask.inside_px, mask.slopes
    slope = np.stack([right[row, column], down[row, column]], -1)
    off_px = inside_px[row, column] * picture[0] / width
    off_m = off_px * depth / seen.K[frame, 0, 0]
    good = (
        (facing < 0.35)
        # It must be the same edge: going out of the body there is going out of the mask.
        & (-(slope * across).sum(1) > 0.7 * np.linalg.norm(slope, axis=1))
        & (np.abs(off_m) < config.farthest_m)
    )
    vertex = kept[good]
    return _Sight(vertex, world[vertex], px[vertex], across[good], off_px[good], off_m[good])


def _signed_distance(mask: Bool[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """To the mask's edge in pixels, negative outside; the edge lies between its last pixel and the next."""
    inside, outside = (cv2.distanceTransform(each.astype(np.uint8), cv2.DIST_L2, 3) for each in (mask, ~mask))
    return np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float64)


def _distance_from_outline(
    column: Int[np.ndarray, " vertex"], row: Int[np.ndarray, " vertex"], size: tuple[int, int]
) -> Float[np.ndarray, "height width"]:
    """Distance of each pixel from the edge of the drawn body.

    Its vertices lie so near each other that dots, closed up, are the body: a hundredth of the cost of its faces.
    """
    drawn = np.zeros(size, np.uint8)
    inside = (column >= 0) & (column < size[1]) & (row >= 0) & (row < size[0])
    drawn[row[inside], column[inside]] = 1
    drawn = cv2.morphologyEx(
        drawn, cv2.MORPH_CLOSE, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (CLOSED_PX, CLOSED_PX))
    )
    edge = drawn - cv2.erode(drawn, np.ones((3, 3), np.uint8))
    return cv2.distanceTransform(1 - edge, cv2.DIST_L2, 3).astype(np.float64)


@cache
def _bare_parts() -> Bool[np.ndarray, " vertex"]:
    """What nothing is worn on: hands."""
    return np.isin(BodyModel.load().vertex_segment, [SEGMENTS.index(f"{side}_hand") for side in ("left", "right")])


@cache
def _weights() -> csr_array:
    """The skin weights of the body model."""
    model = BodyModel.load()
    vertices, influences = model.skin_weights.shape
    rows = np.repeat(np.arange(vertices), influences)
    entries = (model.skin_weights.ravel(), (rows, model.skin_joints.ravel()))
    return csr_array(entries, shape=(vertices, len(model.joints)))


def _smoother(
    faces: Int[np.ndarray, "face 3"], vertices: int, smoothness: float
) -> Callable[[Float[np.ndarray, " vertex"], Float[np.ndarray, " vertex"]], Float[np.ndarray, " vertex"]]:
    """Solves for values near those wanted, as far as they are wanted, that change little between neighbours."""
    i = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).T
    adjacent = coo_array((np.ones(i.shape[1]), (i[0], i[1])), shape=(vertices, vertices)).tocsr()
    adjacent = ((adjacent + adjacent.T) > 0).astype(np.float64)
    laplacian = csr_array(diags_array(np.ones(vertices) @ adjacent) - adjacent)
    # Bending keeps the surface round, stretching carries what is known to where nothing is.
    bending = smoothness * (0.02 * laplacian.T @ laplacian + 0.05 * laplacian) + diags_array(np.full(vertices, 1e-4))

    def solve(
        weight: Float[np.ndarray, " vertex"], wanted: Float[np.ndarray, " vertex"]
    ) -> Float[np.ndarray, " vertex"]:
        # Symmetric and diagonally heavy: no pivoting, and half the fill of an ordering for any matrix.
        factor = splu(
            (diags_array(weight) + bending).tocsc(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        return factor.solve(weight * wanted)

    return solve
