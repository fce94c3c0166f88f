"""A body as the camera fit sees it: its joints, where its feet stand, and an even scatter of points on its surface.

The scatter takes the place of a rasterised mask: its extents and its middle are smooth functions of the camera with
derivatives in closed form, and it wears what the mesh wears (hair, hats, skirts), which bones with radii do not.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from understudy.core.character import Character
from understudy.core.film import Performance
from understudy.core.motion import BODY_JOINTS
from understudy.geometry.kinematics import forward_kinematics, rest_pose
from understudy.geometry.skinning import skin_vertices

__all__ = ["BodyProxy", "body_proxy", "common_roles", "foot_contact"]

SURFACE_POINTS = 192
_FRAMES_AT_ONCE = 256


@dataclass(frozen=True)
class BodyProxy:
    """A performance reduced to points, in the world, in metres."""

    joints: Float[np.ndarray, "time role 3"]
    soles: Float[np.ndarray, "time 2 3"]
    """The points on the ground under the left and the right foot."""
    surface: Float[np.ndarray, "time point 3"]


def common_roles(a: Character, b: Character) -> list[str]:
    """The parts that both bodies have, in the order of BODY_JOINTS.

    Raises:
        ValueError: fewer than four, or no hips: there is nothing to compare.
    """
    roles = [name for name in BODY_JOINTS if name in a.roles and name in b.roles]
    if len(roles) < 4 or "Hips" not in roles:
        raise ValueError(
            f"{a.name} and {b.name} share only the parts {roles}; a camera fit needs the hips and three more"
        )
    return roles


def body_proxy(performance: Performance, roles: list[str]) -> BodyProxy:
    """The points of a performance."""
    character, motion = performance.character, performance.motion
    offsets = character.skeleton.T_parent_joint[:, :3, 3]
    chosen = _scattered(_posed_rest(character))
    vertices = character.mesh.vertices[chosen].astype(np.float64)
    skin_joints, skin_weights = character.skin_joints[chosen], character.skin_weights[chosen].astype(np.float64)
    joints = np.empty((len(motion), len(roles), 3))
    soles = np.empty((len(motion), 2, 3))
    surface = np.empty((len(motion), len(chosen), 3))
    for start in range(0, len(motion), _FRAMES_AT_ONCE):
        span = slice(start, start + _FRAMES_AT_ONCE)
        T = forward_kinematics(
            character.skeleton.parents, offsets, motion.q_parent_joint[span], motion.root_position_m[span]
        )
        joints[span] = T[..., :3, 3][:, [character.roles[name] for name in roles]]
        soles[span] = np.stack([_sole(T[:, :, :3, 3], character.roles, side) for side in ("Left", "Right")], 1)
        for t in range(len(T)):
            surface[start + t] = skin_vertices(vertices, T[t] @ character.T_joint_mesh, skin_joints, skin_weights)
    return BodyProxy(joints, soles, surface)


def foot_contact(body: BodyProxy, frame_rate: float) -> Float[np.ndarray, "time 2"]:
    """How surely each foot stands, 0 … 1: near its lowest and hardly moving along the ground."""
    height = float(np.median(np.ptp(body.surface[..., 1], axis=1)))
    speed = np.linalg.norm(np.gradient(body.soles, axis=0), axis=-1) * frame_rate if len(body.soles) > 1 else 0.0
    lift = _lift(body)
    return np.exp(-((speed / (0.25 * height)) ** 2) - (lift / (0.06 * height)) ** 2)


def _lift(body: BodyProxy) -> Float[np.ndarray, "time 2"]:
    """How far the lowest surface point near each sole is above the ground."""
    across = np.linalg.norm(body.surface[:, :, None, ::2] - body.soles[:, None, :, ::2], axis=-1)
    height = float(np.median(np.ptp(body.surface[..., 1], axis=1)))
    near = np.where(across < 0.12 * height, body.surface[..., 1][:, :, None], np.inf)
    lowest = near.min(1)
    return np.where(np.isfinite(lowest), np.maximum(lowest, 0.0), height)


def _sole(joints: Float[np.ndarray, "time joint 3"], roles: dict[str, int], side: str) -> Float[np.ndarray, "time 3"]:
    """The ground under the middle of a foot, or under the nearest part of the leg that the body has."""
    names = [name for name in (f"{side}Foot", f"{side}ToeBase") if name in roles]
    names = names or [name for name in (f"{side}Leg", f"{side}UpLeg", "Hips") if name in roles][:1]
    return joints[:, [roles[name] for name in names]].mean(1) * np.array([1.0, 0.0, 1.0])


def _posed_rest(character: Character) -> Float[np.ndarray, "vertex 3"]:
    """The mesh in the skeleton's rest pose: bind matrices may scale or turn it."""
    T = rest_pose(character.skeleton.parents, character.skeleton.T_parent_joint) @ character.T_joint_mesh
    return skin_vertices(character.mesh.vertices, T, character.skin_joints, character.skin_weights)


def _scattered(vertices: Float[np.ndarray, "vertex 3"]) -> Int[np.ndarray, " point"]:
    """Farthest-point sampling from the vertex highest up: each next point is as far as can be from all before."""
    # Rounded shares of the size: a body and its enlarged copy must get the same points, ties included.
    vertices = np.round(vertices / np.ptp(vertices, axis=0).max(), 9)
    chosen = [int(vertices[:, 1].argmax())]
    distance = np.full(len(vertices), np.inf)
    while len(chosen) < SURFACE_POINTS:
        distance = np.minimum(distance, np.round(((vertices - vertices[chosen[-1]]) ** 2).sum(1), 12))
        if distance.max() == 0.0:
            break
        chosen.append(int(distance.argmax()))
    return np.array(chosen)
