"""Ray-cast worlds and their subjects as textured meshes, for renderers of meshes.

Surfaces have the ray caster's own patterns in the same places.
"""

import numpy as np
import torch
from jaxtyping import Float, UInt8

from understudy.core.character import Character, Material, Mesh
from understudy.core.environment import Light
from understudy.core.motion import Skeleton
from understudy.imaging.colour import srgb_bytes_from_linear
from understudy.synthetic.worlds.colours import BODIES_START, SKY
from understudy.synthetic.worlds.furniture import BALL, BOX, NONE
from understudy.synthetic.worlds.patterns import PATTERNS, SIDE, texture_bank
from understudy.synthetic.worlds.raycast.shading import AMBIENT, FILL
from understudy.synthetic.worlds.subject import Capsules
from understudy.synthetic.worlds.world import ROOM, World

__all__ = ["capsule_mesh", "sky_light", "world_light", "world_mesh"]

ROUND, RINGS = 28, 12
"""Faces around a cylinder or ball, and from pole to pole."""


class _Patches:
    """Collects grids of quads, each of one material."""

    def __init__(self) -> None:
        self.parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
        self.materials: list[Material] = []

    def add(
        self,
        points: Float[np.ndarray, "rows columns 3"],
        normals: Float[np.ndarray, "rows columns 3"],
        uv: Float[np.ndarray, "rows columns 2"],
        material: int,
    ) -> None:
        """Points whose columns run to the right and whose rows run up, seen from where the normals point."""
        rows, columns = points.shape[:2]
        first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
        quads = first[:, None] + np.array([0, 1, columns + 1, columns])
        faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
        # Counter-clockwise from outside, whichever way the grid was laid.
        corners = points.reshape(-1, 3)[faces]
        turn = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        inward = (turn * normals.reshape(-1, 3)[faces].sum(1)).sum(1) < 0
        faces[inward] = faces[inward][:, [0, 2, 1]]
        self.parts.append((points, normals, uv, np.concatenate([faces, np.full((len(faces), 1), material)], 1)))

    def character(self, name: str) -> Character:
        """All patches, rigid, on one joint at the world's origin."""
        starts = np.cumsum([0, *(part[0].shape[0] * part[0].shape[1] for part in self.parts)])
        faces = np.concatenate([part[3][:, :3] + start for part, start in zip(self.parts, starts[:-1], strict=True)])
        vertices, normals, uv = (
            np.concatenate([part[i].reshape(-1, (3, 3, 2)[i]) for part in self.parts]) for i in range(3)
        )
        material = np.concatenate([part[3][:, 3] for part in self.parts])
        mesh = Mesh(vertices, faces, normals, uv, material, tuple(self.materials))
        count = len(vertices)
        skeleton = Skeleton(("set",), (-1,), np.eye(4)[None])
        return Character(name, mesh, skeleton, np.eye(4)[None], np.zeros((count, 1), int), np.ones((count, 1)))


def world_mesh(world: World, clip: int) -> Character:
    """The set of one clip: walls up to their tops, ground, ceiling, and all bodies."""
    patches = _Patches()
    textures = _textures(world, clip)
    per_m, offset = (_numpy(values[clip]) for values in (world.materials.per_m, world.materials.offset))

    def tiles(surface: int, uv_m: np.ndarray) -> np.ndarray:
        return (uv_m * per_m[surface] + offset[surface]) * [1, -1]  # Pictures count from their upper edge.

    low, high, top = (_numpy(v[clip]) for v in (world.walls.low_m, world.walls.high_m, world.walls.top_m))
    middle = 0.5 * (low + high)
    for side in range(6):
        axis, forward = divmod(side, 2)
        if top[side] <= 0:
            continue
        first, last = low.copy(), high.copy()
        first[axis] = last[axis] = (low, high)[forward][axis]
        if axis != 1:
            last[1] = min(last[1], top[side])
        across, up = {0: (2, 1), 1: (0, 2), 2: (0, 1)}[axis]
        points = np.tile(first, (2, 2, 1))
        points[:, 1, across], points[1, :, up] = last[across], last[up]
        normal = np.zeros(3)
        normal[axis] = 1 - 2 * forward
        origin = np.where(up == 1, [middle[across], 0.0], [middle[across], middle[up]])
        uv = tiles(side, points[..., [across, up]] - origin)
        patches.materials.append(_material(textures[side]))
        patches.add(points, np.tile(normal, (2, 2, 1)), uv, len(patches.materials) - 1)
    bodies = world.bodies
    for body, shape in enumerate(bodies.shape[clip].tolist()):
        if shape == NONE:
            continue
        patches.materials.append(_material(textures[BODIES_START + body]))
        centre, half = _numpy(bodies.centre_m[clip, body]), _numpy(bodies.half_m[clip, body])
        cos, sin = np.cos(float(bodies.yaw_rad[clip, body])), np.sin(float(bodies.yaw_rad[clip, body]))
        R = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        for points, normals, uv_m in _body(shape, half):
            uv = tiles(BODIES_START + body, uv_m)
            patches.add(points @ R.T + centre, normals @ R.T, uv, len(patches.materials) - 1)
    return patches.character("set")


def _body(shape: int, half: Float[np.ndarray, "3"]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Points, normals and pattern places (metres) of a body's patches, in its own frame."""
    if shape == BOX:
        return [_face(half, axis, sign) for axis in range(3) for sign in (-1, 1)]
    around = np.linspace(-np.pi, np.pi, ROUND + 1)
    ring = np.stack([np.sin(around), np.zeros(ROUND + 1), np.cos(around)], -1)
    if shape == BALL:
        rise = np.linspace(-0.5 * np.pi, 0.5 * np.pi, RINGS + 1)[:, None, None]
        unit = np.cos(rise) * ring + np.sin(rise) * [0.0, 1.0, 0.0]
        normals = unit / half
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        points = unit * half
        return [(points, normals, np.stack([np.broadcast_to(around * half[0], points.shape[:2]), points[..., 1]], -1))]
    points = np.stack([ring + [0, -1, 0], ring + [0, 1, 0]]) * half
    normals = ring / half * [1, 0, 1]
    normals = np.stack([normals / np.linalg.norm(normals, axis=-1, keepdims=True)] * 2)
    lid = np.stack([0 * ring + [0, 1, 0], ring + [0, 1, 0]]) * half
    up = np.broadcast_to([0.0, 1.0, 0.0], lid.shape)
    return [
        (points, normals, np.stack([np.broadcast_to(around * half[0], points.shape[:2]), points[..., 1]], -1)),
        (lid, up.copy(), lid[..., [0, 2]]),
    ]


def _face(half: Float[np.ndarray, "3"], axis: int, sign: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    across, up = {0: (2, 1), 1: (0, 2), 2: (0, 1)}[axis]
    points = np.zeros((2, 2, 3))
    points[..., axis] = sign * half[axis]
    points[:, 0, across], points[:, 1, across] = -half[across], half[across]
    points[0, :, up], points[1, :, up] = -half[up], half[up]
    normal = np.zeros(3)
    normal[axis] = sign
    return points, np.tile(normal, (2, 2, 1)), points[..., [across, up]]


def capsule_mesh(capsules: Capsules, clip: int, moment: int) -> Character | None:
    """The subject of a clip as it stands at one moment, in the world; None: nobody is there."""
    patches = _Patches()
    radius = _numpy(capsules.radius_m[clip])
    around = np.linspace(-np.pi, np.pi, ROUND // 2 + 1)
    rise = np.concatenate([np.linspace(-0.5 * np.pi, 0, RINGS // 2), np.linspace(0, 0.5 * np.pi, RINGS // 2)])
    for limb in np.flatnonzero(radius > 0):
        start, end = (_numpy(ends[clip, moment, limb]) for ends in (capsules.start_m, capsules.end_m))
        length = np.linalg.norm(end - start)
        axis = (end - start) / length if length > 1e-6 else np.array([0.0, 1.0, 0.0])
        side = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
        side /= np.linalg.norm(side)
        ring = np.cos(around)[:, None] * side + np.sin(around)[:, None] * np.cross(axis, side)
        normals = np.cos(rise)[:, None, None] * ring + np.sin(rise)[:, None, None] * axis
        ends = np.where(np.arange(len(rise))[:, None] < RINGS // 2, start, end)[:, None]
        red, green, blue = (float(c) for c in capsules.colour[clip, limb])
        patches.materials.append(Material(base_colour=(red, green, blue, 1.0), roughness=1.0))
        uv = np.zeros((*normals.shape[:2], 2))
        patches.add(ends + radius[limb] * normals, normals, uv, len(patches.materials) - 1)
    return patches.character("subject") if patches.parts else None


def world_light(world: World, clip: int) -> Light:
    """The light of a set; a room's sun, which comes through one window only, is left out."""
    light = world.light
    fill = float(light.to_fill[clip, 1])
    ambient, sun = _numpy(light.ambient[clip]), _numpy(light.sun[clip])
    indoors = int(world.kind[clip]) == ROOM
    return Light(
        _numpy(light.to_sun[clip]), 0.0 * sun if indoors else sun,
        ambient * (AMBIENT + FILL * fill), ambient * (AMBIENT - FILL * fill), np.radians(1.0),
    )  # fmt: skip


def sky_light(world: World, clip: int, ray: Float[np.ndarray, "*picture 3"]) -> Float[np.ndarray, "*picture 3"]:
    """Linear light of the sky in directions of the world."""
    around = np.arctan2(ray[..., 0], ray[..., 2]) / (2 * np.pi)
    up = np.clip(np.arctan2(ray[..., 1], np.hypot(ray[..., 0], ray[..., 2])) / (0.5 * np.pi), 0, 0.99)
    offset = _numpy(world.materials.offset[clip, SKY])
    texture = _textures(world, clip)[SKY]
    column = ((around + offset[0]) % 1 * SIDE).astype(int) % SIDE
    return texture[SIDE - 1 - (up * SIDE).astype(int), column] * _numpy(world.light.ambient[clip])


def _textures(world: World, clip: int) -> Float[np.ndarray, "surface side side 3"]:
    """Linear RGB of every surface's pattern, the upper edge first."""
    bank = texture_bank(torch.device("cpu"))
    size = (len(PATTERNS), SIDE, SIDE)
    material = world.materials
    pattern = material.pattern[clip].long().cpu()
    second, third = (weights[: SIDE * SIDE * size[0]].view(size).flip(1)[pattern][..., None] for weights in
                     (bank.second, bank.third))  # fmt: skip
    a, b, c = (colour[clip].cpu()[:, None, None] for colour in (material.first, material.second, material.third))
    return (a + second * (b - a) + third * (c - a)).double().numpy()


def _material(texture: Float[np.ndarray, "side side 3"]) -> Material:
    rgb: UInt8[np.ndarray, "side side 3"] = srgb_bytes_from_linear(texture)
    alpha = np.full((*rgb.shape[:2], 1), 255, np.uint8)
    return Material(texture=np.concatenate([rgb, alpha], -1), roughness=1.0)


def _numpy(values: torch.Tensor) -> np.ndarray:
    return values.detach().cpu().double().numpy()
