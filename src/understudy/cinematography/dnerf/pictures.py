"""Small pictures of a body: what the field learns from, and what the actor shows.

Each pixel says, beside colour and coverage, which keypoints the surface there belongs to and where it goes next. Both
come from the body itself: the point that a pixel's depth gives is looked up in a scatter of points on the posed mesh.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from understudy.core.camera import CameraPath
from understudy.core.character import Character
from understudy.core.environment import Light
from understudy.core.film import Performance, Take
from understudy.core.passes import Passes
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.projection import project, unproject
from understudy.geometry.rigid import invert, transform
from understudy.geometry.rotations import look_at
from understudy.geometry.skinning import skin_vertices
from understudy.render.backends.opengl import OpenGL
from understudy.render.posing import Poser

__all__ = [
    "KEYPOINTS",
    "BodyPictures",
    "FieldBox",
    "SurfaceScatter",
    "crop_cameras",
    "photographed",
    "surrounding_cameras",
]

KEYPOINTS = (
    "Hips", "Spine2", "Head", "LeftForeArm", "LeftHand", "RightForeArm", "RightHand", "LeftLeg", "LeftFoot",
    "RightLeg", "RightFoot",
)  # fmt: skip
"""The parts that keypoints are at, as far as both bodies have them."""
_SURFACE_POINTS = 4000
_KEYPOINT_SOFTNESS = 0.05
"""Of the borders between the parts around the keypoints, in the rest pose, as a share of the body's height."""
_MARGIN = 1.08
_LIGHT = Light(
    key_direction=np.array([0.4, 0.7, 0.6]) / np.linalg.norm([0.4, 0.7, 0.6]),
    key_colour=np.full(3, 0.6),
    fill_sky=np.full(3, 0.5),
    fill_ground=np.full(3, 0.3),
)


@dataclass(frozen=True)
class BodyPictures:
    """One picture per moment; all but `alpha` are 0 where nothing is seen, and premultiplied by it."""

    alpha: Float[np.ndarray, "moment height width"]
    colour: Float[np.ndarray, "moment height width 3"]
    """Linear light."""
    keypoints: Float[np.ndarray, "moment height width keypoint"]
    movement: Float[np.ndarray, "moment height width 3"]
    """From this moment to the next, in the world, in metres; 0 at the last."""
    points: Float[np.ndarray, "moment height width 3"]
    """Of the surface in the world, in metres."""


@dataclass(frozen=True)
class FieldBox:
    """Where a body is: a box of one size that goes along with it."""

    centre: Float[np.ndarray, "moment 3"]
    """World, metres."""
    half_m: Float[np.ndarray, "3"]

    @property
    def radius_m(self) -> float:
        """The field's unit: half the box's longest side."""
        return float(self.half_m.max())

    @staticmethod
    def around(surface: Float[np.ndarray, "moment point 3"]) -> "FieldBox":
        """The box that holds a body in all its moments."""
        centre = surface.mean(1)
        return FieldBox(centre, _MARGIN * np.abs(surface - centre[:, None]).max((0, 1)))


@dataclass(frozen=True)
class SurfaceScatter:
    """Points on a mesh, evenly spread, and which keypoints they belong to."""

    corners: Int[np.ndarray, "point 3"]
    shares: Float[np.ndarray, "point 3"]
    keypoints: Float[np.ndarray, "point keypoint"]
    """Shares that sum to one: each point belongs to the keypoints that it is nearest to in the rest pose."""

    def posed(self, vertices: Float[np.ndarray, "vertex 3"]) -> Float[np.ndarray, "point 3"]:
        """The points on the mesh in a pose."""
        return np.einsum("pc,pck->pk", self.shares, vertices[self.corners])

    @staticmethod
    def over(character: Character, roles: Sequence[str]) -> "SurfaceScatter":
        """A scatter over a character, with its parts `roles` as keypoints."""
        T = rest_pose(character.skeleton.parents, character.skeleton.T_parent_joint)
        vertices = skin_vertices(
            character.mesh.vertices.astype(np.float64),
            T @ character.T_joint_mesh,
            character.skin_joints,
            character.skin_weights.astype(np.float64),
        )
        a, b, c = (vertices[character.mesh.faces[:, k]] for k in range(3))
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
        rng = np.random.default_rng(0)
        faces = np.searchsorted(np.cumsum(area), rng.random(_SURFACE_POINTS) * area.sum())
        root, along = np.sqrt(rng.random(_SURFACE_POINTS)), rng.random(_SURFACE_POINTS)
        shares = np.stack([1 - root, root * (1 - along), root * along], 1)
        corners = character.mesh.faces[np.minimum(faces, len(area) - 1)]
        points = np.einsum("pc,pck->pk", shares, vertices[corners])
        joints = T[[character.roles[name] for name in roles], :3, 3]
        square = ((points[:, None] - joints) ** 2).sum(-1)
        softness = _KEYPOINT_SOFTNESS * np.ptp(vertices[:, 1])
        near = np.exp((square.min(1, keepdims=True) - square) / (2 * softness**2))
        return SurfaceScatter(corners, shares, near / near.sum(1, keepdims=True))

    def over_time(self, performance: Performance) -> Float[np.ndarray, "moment point 3"]:
        """The points in every frame of a performance, in the world."""
        poser = Poser(performance.character)
        return np.stack([self.posed(poser(performance, t).vertices) for t in range(len(performance.motion))])


def photographed(
    performance: Performance,
    scatter: SurfaceScatter,
    surface: Float[np.ndarray, "moment point 3"],
    cameras: Sequence[CameraPath],
) -> list[BodyPictures]:
    """Photograph every frame of a performance with every camera; `surface` is the scatter over time.

    Raises:
        BackendUnavailable: this machine has no OpenGL 3.3, not even in software.
    """
    takes = [Take((performance,), camera, _LIGHT) for camera in cameras]
    moments = len(performance.motion)
    seen: list[list[tuple[np.ndarray, ...]]] = [[] for _ in cameras]
    with OpenGL(shadow_map_px=256, ground_shadow=False).build() as renderer:
        for t in range(moments):
            tree = KDTree(surface[t])
            held = np.concatenate([scatter.keypoints, surface[min(t + 1, moments - 1)] - surface[t]], 1)
            for pictures, take in zip(seen, takes, strict=True):
                pictures.append(_picture(renderer(take, t), take.camera, t, tree, held))
    return [BodyPictures(*(np.stack(part) for part in zip(*pictures, strict=True))) for pictures in seen]


def _picture(
    passes: Passes, camera: CameraPath, frame: int, tree: KDTree, held: Float[np.ndarray, "point value"]
) -> tuple[np.ndarray, ...]:
    """One moment's part of `BodyPictures`; `held` are the scattered points' keypoints and movement."""
    alpha = passes.alpha
    rows, columns = np.nonzero((alpha > 0) & np.isfinite(passes.depth_m))
    pixels = np.stack([columns, rows], 1) + 0.5
    depth_m = passes.depth_m[rows, columns].astype(np.float64)
    points = transform(camera.T_world_camera[frame], unproject(camera.K[frame], pixels, depth_m))
    values = np.zeros((*alpha.shape, held.shape[1] + 3), np.float32)
    if len(points):
        values[rows, columns] = np.concatenate([held[tree.query(points)[1]], points], 1) * alpha[rows, columns, None]
    return alpha, passes.colour, values[..., :-6], values[..., -6:-3], values[..., -3:]


def surrounding_cameras(box: FieldBox, views: int, side_px: int, frame_rate: Fraction) -> list[CameraPath]:
    """Cameras around a box that goes along with a body; each sees all of it, and at each moment from elsewhere."""
    radius = float(np.linalg.norm(box.half_m))
    distance = 3.0 * radius
    focal_px = 0.5 * side_px * np.sqrt(distance**2 - radius**2) / radius
    K = np.array([[focal_px, 0.0, side_px / 2], [0.0, focal_px, side_px / 2], [0.0, 0.0, 1.0]])
    moments = len(box.centre)
    golden = 0.5 * (np.sqrt(5) - 1)
    cameras = []
    for view in range(views):
        azimuth = 2 * np.pi * (view + golden * np.arange(moments)) / views
        elevation = np.full(moments, 0.05 + 0.4 * (view % 3) / 2)
        way = np.stack([np.cos(elevation) * np.sin(azimuth), np.sin(elevation), np.cos(elevation) * np.cos(azimuth)], 1)
        T = look_at(box.centre + distance * way, box.centre)
        cameras.append(CameraPath(T, np.tile(K, (moments, 1, 1)), side_px, side_px, frame_rate))
    return cameras


def crop_cameras(camera: CameraPath, surface: Float[np.ndarray, "moment point 3"], side_px: int) -> CameraPath:
    """The same camera, with a square picture around a body that leaves it half its size of room.

    What of the body is behind the camera does not count; the square is at most twice as high as the whole picture.
    """
    K = camera.K.copy()
    for t, points in enumerate(transform(invert(camera.T_world_camera), surface)):
        ahead = points[points[:, 2] > 0.05 * max(float(np.median(points[:, 2])), 0.2)]
        seen = project(camera.K[t], ahead) if len(ahead) else np.array([[0.0, 0.0], [camera.width, camera.height]])
        low, high = seen.min(0), seen.max(0)
        side = float(np.clip(1.5 * (high - low).max(), 4.0, 2.0 * camera.height))
        middle = np.clip((low + high) / 2, 0, [camera.width, camera.height])
        K[t, :2, 2] -= middle - side / 2
        K[t, :2] *= side_px / side
    return replace(camera, K=K, width=side_px, height=side_px)
