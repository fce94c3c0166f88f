"""A person of boxes on the canonical joints, for tests that need a whole character with known truth."""

from dataclasses import replace

import numpy as np

from understudy.core.character import Character, Material, Mesh
from understudy.core.motion import BODY_JOINTS, BODY_PARENTS, Skeleton
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.rigid import invert

JOINTS_M = {
    "Hips": (0, 0.95, 0), "Spine": (0, 1.05, 0), "Spine1": (0, 1.17, 0), "Spine2": (0, 1.29, 0),
    "Neck": (0, 1.47, 0), "Head": (0, 1.56, 0),
    "LeftShoulder": (0.05, 1.42, 0), "LeftArm": (0.18, 1.42, 0), "LeftForeArm": (0.46, 1.42, 0),
    "LeftHand": (0.72, 1.42, 0),
    "LeftUpLeg": (0.1, 0.9, 0), "LeftLeg": (0.1, 0.5, 0), "LeftFoot": (0.1, 0.09, -0.02),
    "LeftToeBase": (0.1, 0.02, 0.12),
}  # fmt: skip
ENDS_M = {
    "Head": (0, 1.75, 0), "LeftHand": (0.88, 1.42, 0), "LeftToeBase": (0.1, 0.02, 0.19),
    "LeftFoot": (0.1, 0.02, 0.12),
}  # fmt: skip
NEXT = {
    "Hips": "Spine", "Spine": "Spine1", "Spine1": "Spine2", "Spine2": "Neck", "Neck": "Head",
    "LeftShoulder": "LeftArm", "LeftArm": "LeftForeArm", "LeftForeArm": "LeftHand", "LeftUpLeg": "LeftLeg",
    "LeftLeg": "LeftFoot",
}  # fmt: skip
BOX_FACES = np.array(
    [[0, 2, 1], [1, 2, 3], [4, 5, 6], [5, 7, 6], [0, 1, 4], [1, 5, 4], [2, 6, 3], [3, 6, 7], [0, 4, 2], [2, 4, 6],
     [1, 3, 5], [3, 7, 5]]
)  # fmt: skip


def joint_positions(scale: float = 1.0, leg: float = 1.0, arm: float = 1.0) -> np.ndarray:
    """Rest positions of BODY_JOINTS: the figure scaled, with legs and arms stretched further."""
    points = {name: np.array(value, float) for name, value in JOINTS_M.items()}
    for name in list(points):
        points[name] = stretched(name, points[name], leg, arm)
        if name.startswith("Left"):
            points["Right" + name[4:]] = points[name] * [-1, 1, 1]
    return scale * np.array([points[name] for name in BODY_JOINTS])


def stretched(name: str, point: np.ndarray, leg: float, arm: float) -> np.ndarray:
    """A rest point of the figure with other legs and arms; soles stay on the ground."""
    hip, shoulder = JOINTS_M["LeftUpLeg"][1], JOINTS_M["LeftArm"][0]
    point = np.array(point, float)
    if "Foot" in name or "Toe" in name:
        return point
    low = JOINTS_M["LeftFoot"][1]
    grown = low + (hip - low) * leg
    if "Leg" in name:
        point[1] = low + (point[1] - low) * leg
        return point
    point[1] += grown - hip
    if name.endswith(("ForeArm", "Hand")):
        point[0] = shoulder + (point[0] - shoulder) * arm
    return point


def box_person(
    scale: float = 1.0,
    leg: float = 1.0,
    arm: float = 1.0,
    rest_rotations: np.ndarray | None = None,
    texture: np.ndarray | None = None,
) -> Character:
    """A character whose every bone is a box; `rest_rotations` (22 3 3) are world rotations of the joints at rest."""
    positions = joint_positions(scale, leg, arm)
    T_model = np.tile(np.eye(4), (len(positions), 1, 1))
    T_model[:, :3, 3] = positions
    if rest_rotations is not None:
        T_model[:, :3, :3] = rest_rotations
    local = np.array([T if p < 0 else invert(T_model[p]) @ T for T, p in zip(T_model, BODY_PARENTS, strict=True)])
    vertices, faces, joints = [], [], []
    for joint, name in enumerate(BODY_JOINTS):
        mirrored = name.startswith("Right")
        own = "Left" + name[5:] if mirrored else name
        if own in ENDS_M:
            end = scale * stretched(own, np.array(ENDS_M[own]), leg, arm) * [-1 if mirrored else 1, 1, 1]
        else:
            after = NEXT[own]
            end = positions[BODY_JOINTS.index("Right" + after[4:] if mirrored else after)]
        low, high = np.minimum(positions[joint], end), np.maximum(positions[joint], end)
        low, high = low - 0.04 * scale, high + 0.04 * scale
        if "Foot" in name or "Toe" in name:
            low[1] = 0.0
        corners = np.array([[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)])
        faces.append(BOX_FACES + 8 * joint)
        vertices.append(low + corners * (high - low))
        joints += [joint] * 8
    vertices = np.concatenate(vertices)
    skeleton = Skeleton(BODY_JOINTS, BODY_PARENTS, local)
    centre = vertices.reshape(-1, 8, 3).mean(1).repeat(8, 0)
    normals = (vertices - centre) / np.linalg.norm(vertices - centre, axis=1, keepdims=True)
    count = len(vertices)
    face_list = np.concatenate(faces)
    mesh = Mesh(
        vertices, face_list, normals, np.tile([[0.25, 0.75]], (count, 1)),
        np.arange(len(face_list)) % 2, (Material("skin", texture=texture), Material("cloth", (0.2, 0.4, 0.6, 1.0))),
    )  # fmt: skip
    return Character(
        "box person", mesh, skeleton, invert(rest_pose(BODY_PARENTS, local)), np.array(joints)[:, None],
        np.ones((count, 1)), {name: joint for joint, name in enumerate(BODY_JOINTS)},
    )  # fmt: skip


def finer(character: Character, rounds: int) -> Character:
    """The character with each triangle cut into four, so many times; each vertex is moved as its box is."""
    mesh, rows = character.mesh, np.arange(len(character.mesh.vertices))
    vertices, faces = mesh.vertices, mesh.faces
    for _ in range(rounds):
        a, b, c = (vertices[faces[:, corner]] for corner in range(3))
        middles = np.concatenate([0.5 * (a + b), 0.5 * (b + c), 0.5 * (c + a)])
        ab, bc, ca = len(vertices) + np.arange(3 * len(faces)).reshape(3, -1)
        rows = np.concatenate([rows, np.tile(rows[faces[:, 0]], 3)])
        corners = [(faces[:, 0], ab, ca), (ab, faces[:, 1], bc), (ca, bc, faces[:, 2]), (ab, bc, ca)]
        vertices, faces = np.concatenate([vertices, middles]), np.concatenate([np.stack(one, 1) for one in corners])
    surface = Mesh(
        vertices, faces, mesh.normals[rows], mesh.uv[rows], np.tile(mesh.face_material, 4**rounds), mesh.materials
    )
    return replace(
        character, mesh=surface, skin_joints=character.skin_joints[rows], skin_weights=character.skin_weights[rows]
    )
