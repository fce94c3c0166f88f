"""What a pose is while it is fitted, and how the points of the body move with it.

A pose of one frame has 42 freedoms: the root's position, and turns of joints about axes of their own. Spine and neck
bend evenly over their joints; elbows and knees are hinges; toes stay straight. Turning a joint by δ about a world axis
a moves a point p of what hangs on it by δ · a × (p − joint): all Jacobians are written out from this.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from understudy.body.model import LANDMARK_JOINTS, BodyModel
from understudy.core.footage import LANDMARKS
from understudy.core.motion import BODY_JOINTS, BODY_PARENTS
from understudy.decompose.people.landmark_bias import landmark_shift
from understudy.geometry.rotations import cross_matrix, matrix_from_vector

__all__ = [
    "FREEDOMS",
    "FREEDOM_NAMES",
    "JOINT",
    "POINT",
    "POINTS",
    "SOLES",
    "BodyPoints",
    "PlacedBody",
    "PoseState",
    "freedom",
    "jacobian_along",
    "place",
    "pose_jacobian",
    "shape_jacobian",
]

JOINT = {name: joint for joint, name in enumerate(BODY_JOINTS)}
SOLES = ("left_heel_sole", "left_ball_sole", "right_heel_sole", "right_ball_sole")
"""Points under the feet that touch the ground when a foot stands; they move with the foot, not with the toes."""
_JOINT_POINTS = ("Hips", "Spine2", "Neck", "Head")
_FRONTS: dict[str, tuple[float, float, float]] = {
    "Hips": (0.0, 0.0, 0.12), "Spine2": (0.0, 0.0, 0.12), "LeftUpLeg": (0.0, -0.2, 0.1), "RightUpLeg": (0.0, -0.2, 0.1),
    "LeftArm": (0.15, 0.0, 0.1), "RightArm": (-0.15, 0.0, 0.1),
}  # fmt: skip
"""Points before joints, in metres: they show turns about a bone's own axis, which no landmark shows."""
POINTS: tuple[str, ...] = LANDMARKS + SOLES + _JOINT_POINTS + tuple(f"{joint}.front" for joint in _FRONTS)
"""All points of the body that the fit looks at."""
POINT = {name: point for point, name in enumerate(POINTS)}


def _turns() -> list[tuple[str, tuple[str, ...], tuple[float, float, float]]]:
    """Name, joints that share it evenly, and axis (in the joint's own frame) of each turn."""
    axes = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
    turns = []
    for name, joints, which in (
        ("Hips", ("Hips",), "xyz"),
        ("Spine", ("Spine", "Spine1", "Spine2"), "xyz"),
        ("Neck", ("Neck", "Head"), "xyz"),
        ("Shoulder", ("Shoulder",), "yz"),
        ("Arm", ("Arm",), "xyz"),
        ("ForeArm", ("ForeArm",), "y"),
        ("Hand", ("Hand",), "xyz"),
        ("UpLeg", ("UpLeg",), "xyz"),
        ("Leg", ("Leg",), "x"),
        ("Foot", ("Foot",), "xy"),
    ):
        for side in ("",) if name in ("Hips", "Spine", "Neck") else ("Left", "Right"):
            turns += [(f"{side}{name}.{k}", tuple(side + joint for joint in joints), axes[k]) for k in which]
    return turns


FREEDOM_NAMES: tuple[str, ...] = ("root.x", "root.y", "root.z", *(name for name, _, _ in _turns()))
FREEDOMS = len(FREEDOM_NAMES)
"""How many numbers change a pose of one frame."""


def freedom(name: str) -> int:
    """The index of a freedom, such as "LeftLeg.x"."""
    return FREEDOM_NAMES.index(name)


def _ancestry() -> np.ndarray:
    """[a, b]: whether joint b is a or hangs on a."""
    below = np.eye(len(BODY_JOINTS), dtype=bool)
    for joint, parent in enumerate(BODY_PARENTS):
        if parent >= 0:
            below[:, joint] |= below[:, parent]
    return below


_BELOW = _ancestry()
# One entry per joint that a turn moves: spine and neck have several.
_ENTRIES = [
    (3 + turn, JOINT[joint], axis, 1.0 / len(joints))
    for turn, (_, joints, axis) in enumerate(_turns())
    for joint in joints
]
_ENTRY_FREEDOM = np.array([entry[0] for entry in _ENTRIES])
_ENTRY_JOINT = np.array([entry[1] for entry in _ENTRIES])
_ENTRY_AXIS = np.array([entry[2] for entry in _ENTRIES]) * np.array([[entry[3]] for entry in _ENTRIES])
_TURN_STARTS = np.flatnonzero(np.diff(_ENTRY_FREEDOM, prepend=-1))
"""The first entry of each turn: those of one turn stand next to each other."""


@dataclass(frozen=True)
class PoseState:
    """A body's pose over time."""

    root_m: Float[np.ndarray, "time 3"]
    R_parent_joint: Float[np.ndarray, "time 22 3 3"]

    def __len__(self) -> int:
        return len(self.root_m)

    def moved(self, step: Float[np.ndarray, "time freedom"]) -> "PoseState":
        """This pose with every freedom changed by `step`: metres and radians, turns about the joint's own axes."""
        turn = np.zeros((len(self), len(BODY_JOINTS), 3))
        where: Any = (slice(None), _ENTRY_JOINT)  # NumPy's types know only one axis.
        np.add.at(turn, where, step[:, _ENTRY_FREEDOM, None] * _ENTRY_AXIS)
        return PoseState(self.root_m + step[:, :3], self.R_parent_joint @ matrix_from_vector(turn))

    def frames(self, which: slice) -> "PoseState":
        """The pose of some frames."""
        return replace(self, root_m=self.root_m[which], R_parent_joint=self.R_parent_joint[which])


@dataclass(frozen=True)
class BodyPoints:
    """Where joints stand on their parents and POINTS on their joints, as a linear function of the shape."""

    joint_offset: Float[np.ndarray, "22 3"]
    joint_basis: Float[np.ndarray, "22 3 component"]
    point_joint: Int[np.ndarray, " point"]
    point_offset: Float[np.ndarray, "point 3"]
    point_basis: Float[np.ndarray, "point 3 component"]

    @staticmethod
    def of(model: BodyModel, components: int) -> "BodyPoints":
        """The points of a body model, with its first shape components."""
        bottom = int(model.vertices[:, 1].argmin())
        # The mean and the components pass through the same linear steps: as one array.
        joints = np.concatenate([model.joints[..., None], model.joint_basis[..., :components]], -1)
        marks = np.concatenate([model.landmarks[..., None], model.landmark_basis[..., :components]], -1)
        floor = np.concatenate([model.vertices[bottom, 1, None], model.vertex_basis[bottom, 1, :components]])
        top = int(model.vertices[:, 1].argmax())
        height = np.concatenate([model.vertices[top, 1, None], model.vertex_basis[top, 1, :components]]) - floor
        shift = np.array([landmark_shift(name) for name in LANDMARKS])
        rest, owner = list(marks + shift[..., None] * height), list(LANDMARK_JOINTS)
        for name in SOLES:
            side, part, _ = name.split("_")
            foot = side.capitalize() + "Foot"
            above = marks[LANDMARKS.index(f"{side}_heel")] if part == "heel" else joints[JOINT[foot] + 1]
            rest.append(np.stack([above[0], floor, above[2]]))
            owner.append(JOINT[foot])
        for name in _JOINT_POINTS:
            rest.append(joints[JOINT[name]])
            owner.append(JOINT[name])
        for name, front in _FRONTS.items():
            rest.append(joints[JOINT[name]] + np.pad(np.array(front)[:, None], ((0, 0), (0, components))))
            owner.append(JOINT[name])
        parents = np.array(BODY_PARENTS)
        offsets = joints - np.where((parents < 0)[:, None, None], 0.0, joints[parents])
        point_joint = np.array(owner)
        points = np.array(rest) - joints[point_joint]
        return BodyPoints(offsets[..., 0], offsets[..., 1:], point_joint, points[..., 0], points[..., 1:])

    def offsets(
        self, shape: Float[np.ndarray, " component"]
    ) -> tuple[Float[np.ndarray, "22 3"], Float[np.ndarray, "point 3"]]:
        """Offsets of joints and points of one shape."""
        return self.joint_offset + self.joint_basis @ shape, self.point_offset + self.point_basis @ shape


@dataclass(frozen=True)
class PlacedBody:
    """Joints and points of a posed body, in the world."""

    R_world_joint: Float[np.ndarray, "time 22 3 3"]
    joints_m: Float[np.ndarray, "time 22 3"]
    points_m: Float[np.ndarray, "time point 3"]


def place(points: BodyPoints, pose: PoseState, shape: Float[np.ndarray, " component"]) -> PlacedBody:
    """Forward kinematics of joints and points."""
    joint_offset, point_offset = points.offsets(shape)
    R = np.empty_like(pose.R_parent_joint)
    p = np.empty((len(pose), len(BODY_JOINTS), 3))
    for joint, parent in enumerate(BODY_PARENTS):
        if parent < 0:
            R[:, joint], p[:, joint] = pose.R_parent_joint[:, joint], pose.root_m
        else:
            R[:, joint] = R[:, parent] @ pose.R_parent_joint[:, joint]
            p[:, joint] = p[:, parent] + R[:, parent] @ joint_offset[joint]
    owner = points.point_joint
    return PlacedBody(R, p, p[:, owner] + np.einsum("tpij,pj->tpi", R[:, owner], point_offset))


def pose_jacobian(points: BodyPoints, placed: PlacedBody) -> Float[np.ndarray, "time point 3 freedom"]:
    """How every point moves with every freedom of its frame."""
    twists, from_root = _twists(placed), placed.points_m - placed.joints_m[:, :1]
    time, count = from_root.shape[:2]
    J = np.zeros((time, count, 3, FREEDOMS))
    J[:, :, range(3), range(3)] = 1.0
    for joint in np.unique(points.point_joint):
        which = np.flatnonzero(points.point_joint == joint)
        entries = np.flatnonzero(_BELOW[_ENTRY_JOINT, joint])
        turns, starts = np.unique(_ENTRY_FREEDOM[entries], return_index=True)
        # Axis × x − moment, as a matrix: the transpose of x's cross product matrix, and minus the identity.
        by_twist = np.zeros((time, len(which), 3, 6))
        by_twist[..., :3] = np.swapaxes(cross_matrix(from_root[:, which]), -1, -2)
        by_twist[:, :, range(3), range(3, 6)] = -1.0
        of_turns = np.zeros((time, 6, FREEDOMS - 3))
        of_turns[:, :, turns - 3] = np.swapaxes(np.add.reduceat(twists[:, entries], starts, axis=1), 1, 2)
        moved = by_twist.reshape(time, -1, 6) @ of_turns
        J[:, which, :, 3:] = moved.reshape(time, len(which), 3, -1)
    return J


def jacobian_along(
    placed: PlacedBody,
    points_m: Float[np.ndarray, "time point 3"],
    joint: Int[np.ndarray, "time point"],
    direction: Float[np.ndarray, "time point 3"],
) -> Float[np.ndarray, "time point freedom"]:
    """How far points of a placed body, each fixed to a joint, move along directions with every freedom."""
    from_root = points_m - placed.joints_m[:, :1]
    # direction · (axis × x − moment) = axis · (x × direction) − moment · direction
    pull = np.concatenate([np.cross(from_root, direction), -direction], -1)
    entries = pull @ np.swapaxes(_twists(placed), 1, 2)
    entries *= _BELOW[_ENTRY_JOINT].T.astype(np.float64)[joint]
    return np.concatenate([direction, np.add.reduceat(entries, _TURN_STARTS, axis=-1)], -1)


def _twists(placed: PlacedBody) -> Float[np.ndarray, "time entry 6"]:
    """Axis and moment of every turn of a joint: a point at x from the root moves by axis × x − moment.

    Source: Lynch and Park 2017, Modern Robotics, section 3.3.2.
    """
    axis = np.einsum("teij,ej->tei", placed.R_world_joint[:, _ENTRY_JOINT], _ENTRY_AXIS)
    pivot = (placed.joints_m - placed.joints_m[:, :1])[:, _ENTRY_JOINT]
    return np.concatenate([axis, np.cross(axis, pivot)], -1)


def shape_jacobian(points: BodyPoints, placed: PlacedBody) -> Float[np.ndarray, "time point 3 component"]:
    """How every point moves with the shape, for a root that stays where it is."""
    R = placed.R_world_joint
    components = points.joint_basis.shape[-1]
    joints = np.zeros((len(R), len(BODY_JOINTS), 3, components))
    for joint, parent in enumerate(BODY_PARENTS):
        if parent >= 0:
            joints[:, joint] = joints[:, parent] + R[:, parent] @ points.joint_basis[joint]
    owner = points.point_joint
    return joints[:, owner] + R[:, owner] @ points.point_basis
