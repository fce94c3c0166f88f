"""What a character does when nobody says what: it stands and turns, walks, and takes five poses."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np
from jaxtyping import Float

from understudy.body.model import BodyModel
from understudy.core.character import Character
from understudy.core.motion import Motion
from understudy.geometry.rotations import matrix_from_vector, quaternion_from_matrix
from understudy.retarget.retarget import RetargetConfig, retarget_motion
from understudy.synthetic.people.motions import Action, ActionKind, act

__all__ = ["POSES", "joined", "pose", "stand_in", "turning", "walking"]

POSES: Mapping[str, tuple[ActionKind, float]] = {
    "a step": ("walk", 0.95),
    "a wave": ("wave", 1.3),
    "a squat": ("squat", 1.1),
    "arms up": ("stretch", 1.2),
    "a bow": ("bow", 1.3),
}
"""Five poses that try knees, hips, shoulders and spine: an action, and the second of it that is shown."""
POSE_RATE = Fraction(10)
"""Frames a second of the actions from which poses are taken."""
USUAL_M = (0.9, 2.1)
"""Statures that people have; a character beyond them is shown by a usual person."""


def stand_in(character: Character) -> Character:
    """Our body of the character's height, which acts for it: motions are made on it and retargeted."""
    model = BodyModel.load()
    return model.character(model.shape_for_height(float(np.clip(character.height_m, *USUAL_M))))


def turning(character: Character, yaw_rad: Float[np.ndarray, " time"], frame_rate: Fraction) -> Motion:
    """The rest pose, turned about the vertical axis through the origin."""
    skeleton = character.skeleton
    R = matrix_from_vector(yaw_rad[:, None] * [0.0, 1.0, 0.0])
    T = skeleton.T_parent_joint
    q = np.tile(quaternion_from_matrix(T[:, :3, :3]), (len(R), 1, 1))
    q[:, 0] = quaternion_from_matrix(R @ T[0, :3, :3])
    return Motion(skeleton, q, R @ T[0, :3, 3], frame_rate)


def walking(
    character: Character,
    frames: int,
    frame_rate: Fraction,
    heading_rad: float = 0.0,
    config: RetargetConfig | None = None,
) -> Motion:
    """A walk straight ahead."""
    return _acted(character, Action("walk", heading_rad=heading_rad), frames, frame_rate, config or RetargetConfig())


def pose(character: Character, kind: ActionKind, at_s: float) -> Motion:
    """One frame: the pose that the character has at a moment of an action."""
    frames = round(at_s * POSE_RATE) + 2
    motion = _acted(character, Action(kind, wave_at_s=0.2), frames, POSE_RATE, RetargetConfig())
    at = frames - 2
    return replace(
        motion, q_parent_joint=motion.q_parent_joint[at : at + 1], root_position_m=motion.root_position_m[at : at + 1]
    )


def joined(first: Motion, second: Motion) -> Motion:
    """One motion after the other."""
    return replace(
        first,
        q_parent_joint=np.concatenate([first.q_parent_joint, second.q_parent_joint]),
        root_position_m=np.concatenate([first.root_position_m, second.root_position_m]),
    )


def _acted(character: Character, action: Action, frames: int, frame_rate: Fraction, config: RetargetConfig) -> Motion:
    body = stand_in(character)
    motion, contact = act(body.skeleton, action, frames, frame_rate)
    return retarget_motion(motion, body, character, config, contact)
