"""Small characters of boxes on the canonical skeleton, walking, and cameras to film them."""

from dataclasses import replace
from fractions import Fraction

import numpy as np

from understudy.core.camera import CameraPath
from understudy.core.character import Character, Material, Mesh
from understudy.core.film import Performance
from understudy.core.motion import BODY_JOINTS, BODY_PARENTS, Motion, Skeleton
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.projection import intrinsics
from understudy.geometry.rigid import invert, transform_from
from understudy.geometry.rotations import look_at, quaternion_from_vector

FRAME_RATE = Fraction(24)
LEG, SHIN, FOOT = 0.42, 0.42, 0.08
_OFFSETS = {
    "Hips": (0, LEG + SHIN + FOOT, 0), "Spine": (0, 0.10, 0), "Spine1": (0, 0.12, 0), "Spine2": (0, 0.12, 0),
    "Neck": (0, 0.15, 0), "Head": (0, 0.08, 0),
    "LeftShoulder": (0.06, 0.10, 0), "LeftArm": (0.12, 0, 0), "LeftForeArm": (0.28, 0, 0), "LeftHand": (0.25, 0, 0),
    "LeftUpLeg": (0.10, 0, 0), "LeftLeg": (0, -LEG, 0), "LeftFoot": (0, -SHIN, 0), "LeftToeBase": (0, -0.06, 0.13),
}  # fmt: skip


def stick_character(leg: float = 1.0, trunk: float = 1.0, head: float = 1.0, girth: float = 1.0) -> Character:
    """A person of boxes; the factors stretch its legs, its trunk and arms, its head, and its thickness."""
    offsets = []
    for name in BODY_JOINTS:
        x, y, z = _OFFSETS[name.replace("Right", "Left")]
        below = "Leg" in name or "Foot" in name or "Toe" in name or name == "Hips"
        offsets.append(np.array([-x if name.startswith("Right") else x, y, z]) * (leg if below else trunk))
    T_parent_joint = transform_from(np.tile(np.eye(3), (22, 1, 1)), np.array(offsets))
    skeleton = Skeleton(BODY_JOINTS, BODY_PARENTS, T_parent_joint)
    T_model_joint = rest_pose(BODY_PARENTS, T_parent_joint)
    at = T_model_joint[:, :3, 3]
    vertices, owners = [], []
    for joint, name in enumerate(BODY_JOINTS):
        children = [c for c, parent in enumerate(BODY_PARENTS) if parent == joint]
        end = at[children].mean(0) if children else at[joint] + _tip(name, trunk, head)
        size = 0.11 * head if name == "Head" else 0.05 * girth
        for corner in np.ndindex(2, 2, 2):
            sign = np.array(corner) * 2 - 1
            point = np.where(sign > 0, np.maximum(at[joint], end), np.minimum(at[joint], end)) + sign * size
            vertices.append([point[0], max(point[1], 0.0), point[2]])
            owners.append(joint)
    count = len(vertices)
    faces = np.array([[k, k + 1, k + 2] for k in range(0, count - 2, 2)])
    mesh = Mesh(
        vertices=np.array(vertices), faces=faces, normals=np.tile([0.0, 0.0, 1.0], (count, 1)), uv=np.zeros((count, 2)),
        face_material=np.zeros(len(faces), int), materials=(Material(),),
    )  # fmt: skip
    return Character(
        name="stick", mesh=mesh, skeleton=skeleton, T_joint_mesh=invert(T_model_joint),
        skin_joints=np.array(owners)[:, None], skin_weights=np.ones((count, 1)),
        roles={name: joint for joint, name in enumerate(BODY_JOINTS)},
    )  # fmt: skip


def scaled_character(character: Character, scale: float) -> Character:
    """The same person, larger or smaller as a whole."""
    T_parent_joint = character.skeleton.T_parent_joint.copy()
    T_parent_joint[:, :3, 3] *= scale
    T_joint_mesh = character.T_joint_mesh.copy()
    T_joint_mesh[:, :3, 3] *= scale
    return replace(
        character,
        skeleton=replace(character.skeleton, T_parent_joint=T_parent_joint),
        mesh=replace(character.mesh, vertices=character.mesh.vertices * scale),
        T_joint_mesh=T_joint_mesh,
    )


def _tip(name: str, trunk: float, head: float) -> np.ndarray:
    if name == "Head":
        return np.array([0.0, 0.12 * head, 0.0])
    if "Hand" in name:
        return np.array([0.10 if "Left" in name else -0.10, 0.0, 0.0]) * trunk
    return np.array([0.0, 0.0, 0.05])


def walk(
    character: Character, frames: int, path_scale: float, heading: float = 0.6, speed: float = 1.2, stride: float = 1.0
) -> Performance:
    """Walk over the ground; what retargeting gives: the same turns of the joints, the path scaled."""
    t = np.arange(frames) / float(FRAME_RATE)
    swing = 0.5 * stride * np.sin(2 * np.pi * 0.9 * t)
    turns = np.zeros((frames, 22, 3))
    joint = {name: index for index, name in enumerate(BODY_JOINTS)}
    turns[:, joint["LeftUpLeg"], 0], turns[:, joint["RightUpLeg"], 0] = -swing, swing
    turns[:, joint["LeftLeg"], 0] = np.maximum(swing, 0) * 0.8
    turns[:, joint["RightLeg"], 0] = np.maximum(-swing, 0) * 0.8
    turns[:, joint["LeftArm"], 2], turns[:, joint["RightArm"], 2] = -1.2, 1.2
    turns[:, joint["LeftArm"], 1], turns[:, joint["RightArm"], 1] = 0.6 * swing, 0.6 * swing
    turns[:, joint["Hips"], 1] = heading
    q = quaternion_from_vector(turns)
    hips = np.array([0.3, LEG + SHIN + FOOT, 0.4]) + (t * speed)[:, None] * [np.sin(heading), 0, np.cos(heading)]
    hips[:, 1] += 0.02 * np.cos(4 * np.pi * 0.9 * t) - 0.03
    return Performance(character, Motion(character.skeleton, q, hips * path_scale, FRAME_RATE))


def film_camera(position: np.ndarray, target: np.ndarray, focal_px: float = 900.0) -> CameraPath:
    """A camera at positions that looks at targets; 1280 × 720."""
    K = np.tile(intrinsics(focal_px, 1280, 720), (len(position), 1, 1))
    return CameraPath(look_at(position, target), K, 1280, 720, FRAME_RATE)


def cameras(actor: Performance) -> dict[str, CameraPath]:
    """One camera for each kind of move, all on the walking actor."""
    hips = actor.motion.root_position_m
    still = np.tile([1.5, 1.5, 6.5], (len(hips), 1))
    along = np.stack([0.6 * hips[:, 0] + 1.0, np.full(len(hips), 1.4), hips[:, 2] + 4.5], 1)
    return {
        "static": film_camera(still, np.tile(hips.mean(0), (len(hips), 1))),
        "rotation": film_camera(still, hips + [0.1, 0.05, 0.0]),
        "parallax": film_camera(along, hips + [0.0, 0.1, 0.0]),
    }
