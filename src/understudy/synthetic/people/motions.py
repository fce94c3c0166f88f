"""What people do, by formula, on the canonical skeleton: smooth, with feet that stand still while they stand."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float
from scipy.interpolate import CubicSpline
from scipy.ndimage import binary_closing, binary_opening, gaussian_filter1d

from understudy.core.motion import BODY_JOINTS, Motion, Skeleton
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.rotations import (
    continuous,
    matrix_from_vector,
    quaternion_from_matrix,
    quaternion_from_vector,
    quaternion_multiply,
    slerp,
)
from understudy.geometry.vectors import smooth_step
from understudy.synthetic.people.legs import HEEL_BEHIND_M, FootTrack, leg_rotations

__all__ = ["EXERCISES", "Action", "ActionKind", "Exercise", "act", "ground_contact"]

ActionKind = Literal["walk", "turn", "wave", "dance", "walk_and_wave", "squat", "bow", "stretch", "jump"]
SIDES = (("Left", 1.0), ("Right", -1.0))
GRAVITY_M_S2 = 9.81
STANDING_LOW, STANDING_SLOW_PER_S = 0.045, 0.35
"""A standing foot's lowest point is no higher over the ground and no faster than this, in lengths of the leg."""
SHORTEST_S = 0.08
"""Of a contact, or of a gap between two."""


@dataclass(frozen=True)
class Action:
    """What a person does."""

    kind: ActionKind = "walk"
    start_m: tuple[float, float] = (0.0, 0.0)
    """Where on the ground they begin: x and z."""
    heading_rad: float = 0.0
    """Which way they face at first: 0 is +Z, a quarter turn is +X."""
    speed_m_s: float = 1.1
    """Of walking."""
    turn_rad: float = 0.0
    """How far a walk's heading changes from the first to the last frame; 0 for "turn": a half turn."""
    wave_at_s: float = 1.0
    """When a wave begins."""


def act(
    skeleton: Skeleton, action: Action, frames: int, frame_rate: Fraction
) -> tuple[Motion, Bool[np.ndarray, "time 2"]]:
    """The motion, and whether the left and the right foot stands.

    Args:
        skeleton: a body's own, with BODY_JOINTS and a T-pose of identity rotations (`BodyModel.character`).
    """
    time_s = np.arange(frames) / float(frame_rate)
    rest = rest_pose(skeleton.parents, skeleton.T_parent_joint)[:, :3, 3]
    walking = action.kind in ("walk", "turn", "walk_and_wave")
    exercise = EXERCISES.get(action.kind)
    if exercise is not None:
        stance = _exercise(rest, action, exercise, time_s)
    else:
        stance = _walk(rest, action, time_s) if walking else _stand(rest, action, time_s)
    q = np.zeros((frames, len(BODY_JOINTS), 4))
    q[..., 0] = 1.0
    q[:, 0] = quaternion_from_matrix(stance.R_world_hips)
    if exercise is not None:
        _bend_upper_body(q, exercise, _effort(exercise, time_s))
    else:
        _swing_upper_body(q, stance, action, time_s)
    if action.kind in ("wave", "walk_and_wave"):
        _wave(q, action, time_s)
    leg_rotations(q, skeleton, stance.hips_m, stance.R_world_hips, stance.feet)
    motion = Motion(skeleton, continuous(q), stance.hips_m, frame_rate)
    return motion, np.stack([foot.stands for foot in stance.feet], 1)


@dataclass(frozen=True)
class Exercise:
    """Something done again and again on the spot: how the body is at its utmost, between which and standing it goes."""

    every_s: float
    hips_down: float = 0.0
    """As a share of the legs' length."""
    hips_back: float = 0.0
    tilt_rad: float = 0.0
    """Of the hips, forwards."""
    spine_rad: float = 0.0
    """Of the whole spine, forwards."""
    arms_up_rad: float = 0.0
    """From hanging, sideways."""
    arms_forward_rad: float = 0.0
    elbow_rad: float = 0.28
    hop_m: float = 0.0
    """How high the feet leave the ground after each utmost moment."""


EXERCISES: dict[ActionKind, Exercise] = {
    "squat": Exercise(2.2, hips_down=0.36, hips_back=0.14, tilt_rad=0.55, spine_rad=0.15, arms_forward_rad=1.35),
    "bow": Exercise(2.6, hips_down=0.02, hips_back=0.12, tilt_rad=0.55, spine_rad=0.75),
    "stretch": Exercise(2.4, spine_rad=-0.12, arms_up_rad=2.55, elbow_rad=0.15),
    "jump": Exercise(
        1.3, hips_down=0.16, hips_back=0.06, tilt_rad=0.3, spine_rad=0.1, arms_forward_rad=-0.5, hop_m=0.12
    ),
}


@dataclass(frozen=True)
class _Stance:
    """Hips and feet over time, and where in the step the person is."""

    hips_m: Float[np.ndarray, "time 3"]
    R_world_hips: Float[np.ndarray, "time 3 3"]
    feet: tuple[FootTrack, FootTrack]
    phase_rad: Float[np.ndarray, " time"]
    """A full turn for two steps; the left foot touches down at 0."""


def _turned(yaw_rad: Float[np.ndarray, " time"], *then: Float[np.ndarray, "time 3"]) -> Float[np.ndarray, "time 3 3"]:
    """Turns about +Y, followed (in the turned frame) by others."""
    R = matrix_from_vector(yaw_rad[:, None] * [0.0, 1.0, 0.0])
    for vector in then:
        R = R @ matrix_from_vector(vector)
    return R


def _walk(rest: Float[np.ndarray, "22 3"], action: Action, time_s: Float[np.ndarray, " time"]) -> _Stance:
    """Hips along a path, feet from step to step.

    A step's foot touches down at k steps, stands for 1.24 step durations and swings to its next place.
    """
    leg_m = rest[BODY_JOINTS.index("Hips"), 1]
    step_m = min(0.70 * leg_m, 0.55 * leg_m + 0.12 * action.speed_m_s)
    step_s = step_m / action.speed_m_s
    turn = action.turn_rad or (np.pi if action.kind == "turn" else 0.0)
    fine = np.linspace(-3 * step_s, time_s[-1] + 4 * step_s, 4000)
    heading = action.heading_rad + turn * smooth_step(fine / max(time_s[-1], 1e-6))
    along = np.stack([np.sin(heading), np.cos(heading)], 1) * action.speed_m_s
    places = np.concatenate([[[0.0, 0.0]], np.cumsum(0.5 * (along[1:] + along[:-1]) * np.diff(fine)[:, None], 0)])
    path = CubicSpline(fine, places - CubicSpline(fine, places)(0.0) + np.asarray(action.start_m))
    yaw = CubicSpline(fine, heading)

    feet = []
    for side, (name, sign) in enumerate(SIDES):
        ankle = rest[BODY_JOINTS.index(f"{name}Foot")]
        toe = rest[BODY_JOINTS.index(f"{name}ToeBase")] - ankle
        steps = np.arange(-4 + side, int(time_s[-1] / step_s) + 6, 2)
        touch_s = steps * step_s
        middle_s = touch_s + 0.55 * step_s
        toes_out = yaw(middle_s) + sign * 0.10
        out = np.stack([np.cos(yaw(middle_s)), -np.sin(yaw(middle_s))], 1)
        # The ankle lies behind the middle of the foot.
        ground = path(middle_s) + sign * 0.55 * abs(ankle[0]) * out - 0.05 * np.stack([-out[:, 1], out[:, 0]], 1)
        feet.append(FootTrack.stepping(time_s, touch_s, 1.24 * step_s, ground, toes_out, ankle[1], toe))
    phase = np.pi * time_s / step_s
    sway = 0.022 * np.sin(phase - 0.12 * np.pi)
    over = path(time_s) + sway[:, None] * np.stack([np.cos(yaw(time_s)), -np.sin(yaw(time_s))], 1)
    bob = 0.02 * np.cos(2 * (phase - 0.62 * np.pi))
    hips = np.stack([over[:, 0], 0.995 * leg_m + bob, over[:, 1]], 1)
    twist = -0.10 * np.cos(phase - 0.1)
    tilt = np.zeros((len(time_s), 3))
    tilt[:, 2] = 0.045 * np.sin(phase - 0.12 * np.pi)
    tilt[:, 0] = 0.03
    R = _turned(yaw(time_s) + twist, tilt)
    return _Stance(hips, R, (feet[0], feet[1]), phase)


def _stand(rest: Float[np.ndarray, "22 3"], action: Action, time_s: Float[np.ndarray, " time"]) -> _Stance:
    """Both feet on the ground; hips that breathe, or dance."""
    dance = action.kind == "dance"
    beat = 2 * np.pi * (0.9 if dance else 0.25) * time_s
    wide = 1.5 if dance else 1.0
    yaw = np.full(len(time_s), action.heading_rad)
    right = np.array([np.cos(action.heading_rad), 0.0, -np.sin(action.heading_rad)])
    feet = []
    for name, sign in SIDES:
        ankle = rest[BODY_JOINTS.index(f"{name}Foot")]
        toe = rest[BODY_JOINTS.index(f"{name}ToeBase")] - ankle
        ground = np.asarray(action.start_m) + wide * ankle[0] * right[[0, 2]]
        feet.append(FootTrack.standing(len(time_s), ground, action.heading_rad + 0.18 * sign, ankle[1], toe))
    leg_m = rest[BODY_JOINTS.index("Hips"), 1]
    sway = (0.085 if dance else 0.012) * np.sin(beat)
    height = leg_m * (0.955 if dance else 0.998) + (0.028 if dance else 0.002) * np.cos(2 * beat)
    hips = np.array([action.start_m[0], 0.0, action.start_m[1]]) + sway[:, None] * right + height[:, None] * [0, 1, 0]
    tilt = np.zeros((len(time_s), 3))
    tilt[:, 2] = (-0.10 if dance else -0.01) * np.sin(beat)
    R = _turned(yaw + (0.22 * np.sin(beat + 0.6) if dance else 0.0), tilt)
    return _Stance(hips, R, (feet[0], feet[1]), beat)


def _effort(exercise: Exercise, time_s: Float[np.ndarray, " time"]) -> Float[np.ndarray, " time"]:
    """0 standing … 1 at the utmost; where it ends in a hop, the effort takes the first half of each round."""
    phase = (time_s / exercise.every_s) % 1.0
    phase = np.minimum(phase / 0.5, 1.0) if exercise.hop_m else phase
    return 0.5 - 0.5 * np.cos(2 * np.pi * phase)


def _flight(exercise: Exercise, time_s: Float[np.ndarray, " time"]) -> Float[np.ndarray, " time"]:
    """How high the feet are: a ballistic hop of up to `hop_m` in the second half of each round, under gravity."""
    air_s = 2 * np.sqrt(2 * exercise.hop_m / GRAVITY_M_S2)
    since = time_s % exercise.every_s - 0.5 * exercise.every_s
    height = 0.5 * GRAVITY_M_S2 * since * (air_s - since)
    return np.where((since > 0) & (since < air_s), np.maximum(height, 0.0), 0.0)


def _exercise(
    rest: Float[np.ndarray, "22 3"], action: Action, exercise: Exercise, time_s: Float[np.ndarray, " time"]
) -> _Stance:
    """Hips that go down, back and up over feet that stand, or hop."""
    effort, flight = _effort(exercise, time_s), _flight(exercise, time_s)
    stance = _stand(rest, action, time_s)
    leg_m = rest[BODY_JOINTS.index("Hips"), 1]
    heading = np.array([np.sin(action.heading_rad), 0.0, np.cos(action.heading_rad)])
    hips = stance.hips_m + flight[:, None] * [0.0, 1.0, 0.0]
    hips = hips - leg_m * effort[:, None] * (
        exercise.hips_down * np.array([0.0, 1.0, 0.0]) + exercise.hips_back * heading
    )
    tilt = np.zeros((len(time_s), 3))
    tilt[:, 0] = exercise.tilt_rad * effort
    feet = tuple(
        FootTrack(foot.ankle_m + flight[:, None] * [0.0, 1.0, 0.0], foot.R_world_foot, foot.toe_bend_rad, flight == 0)
        for foot in stance.feet
    )
    return _Stance(hips, _turned(np.full(len(time_s), action.heading_rad), tilt), (feet[0], feet[1]), stance.phase_rad)


def _bend_upper_body(q: Float[np.ndarray, "time 22 4"], exercise: Exercise, effort: Float[np.ndarray, " time"]) -> None:
    """Spine, head and arms of an exercise."""
    for name in ("Spine", "Spine1", "Spine2"):
        q[:, BODY_JOINTS.index(name)] = _vector("x", exercise.spine_rad / 3 * effort)
    # Who bends forwards keeps looking ahead a little.
    q[:, BODY_JOINTS.index("Neck")] = _vector("x", -0.35 * (exercise.spine_rad + exercise.tilt_rad) * effort)
    for name, sign in SIDES:
        hang = 1.24 - exercise.arms_up_rad * effort
        forward = -exercise.arms_forward_rad * effort
        # In the T-pose the arms point to ±X: down is a turn about Z, forwards then one about X.
        q[:, BODY_JOINTS.index(f"{name}Arm")] = quaternion_multiply(_vector("x", forward), _vector("z", -sign * hang))
        q[:, BODY_JOINTS.index(f"{name}ForeArm")] = _vector("y", np.full(len(effort), -sign * exercise.elbow_rad))


def _vector(axis: str, angle_rad: Float[np.ndarray, " time"]) -> Float[np.ndarray, "time 4"]:
    return quaternion_from_vector(angle_rad[:, None] * np.eye(3)["xyz".index(axis)])


def _swing_upper_body(
    q: Float[np.ndarray, "time 22 4"], stance: _Stance, action: Action, time_s: Float[np.ndarray, " time"]
) -> None:
    """Spine, head and arms: against the legs when walking, with the beat when dancing."""
    phase, dance = stance.phase_rad, action.kind == "dance"
    moving = 0.0 if action.kind == "wave" else 1.0
    counter = moving * (-0.16 * np.sin(phase + 0.4) if dance else 0.20 * np.cos(phase - 0.1))
    lean = 0.02 + 0.012 * np.sin(2 * np.pi * 0.3 * time_s)
    for name in ("Spine", "Spine1", "Spine2"):
        level = _vector("z", moving * (0.05 if dance else -0.012) * np.sin(phase))
        turn = quaternion_multiply(_vector("y", counter / 3), _vector("x", lean))
        q[:, BODY_JOINTS.index(name)] = quaternion_multiply(turn, level)
    q[:, BODY_JOINTS.index("Neck")] = _vector("y", -0.35 * counter)
    nod = _vector("x", -0.04 + (0.07 * np.cos(2 * phase) if dance else 0.012 * np.cos(2 * phase)))
    q[:, BODY_JOINTS.index("Head")] = quaternion_multiply(_vector("y", 0.08 * np.sin(0.9 * time_s)), nod)
    for name, sign in SIDES:
        if dance:
            lift = 0.55 + 0.50 * np.sin(phase * 1.0 + (0.0 if sign > 0 else np.pi))
            fore = -0.55 - 0.25 * np.cos(2 * phase)
            elbow = 1.25 + 0.45 * np.sin(phase + sign)
        else:
            lift = np.full(len(time_s), 1.24)
            fore = moving * sign * 0.42 * np.cos(phase - 0.15)
            elbow = 0.28 + moving * 0.20 * (1 - sign * np.cos(phase - 0.5))
        # In the T-pose the arms point to ±X: down is a turn about Z, forwards then one about X.
        upper = quaternion_multiply(_vector("x", fore), _vector("z", -sign * lift))
        q[:, BODY_JOINTS.index(f"{name}Arm")] = upper
        q[:, BODY_JOINTS.index(f"{name}ForeArm")] = _vector("y", -sign * elbow)
        q[:, BODY_JOINTS.index(f"{name}Hand")] = _vector("z", np.full(len(time_s), -sign * 0.08))


def _wave(q: Float[np.ndarray, "time 22 4"], action: Action, time_s: Float[np.ndarray, " time"]) -> None:
    """The right hand goes up beside the head and waves for 1.6 s."""
    begun = time_s - action.wave_at_s
    raised = np.clip(begun / 0.5, 0, 1) * np.clip((2.6 - begun) / 0.5, 0, 1)
    raised = gaussian_filter1d(raised, max(0.08 / max(time_s[1] - time_s[0], 1e-6), 0.3)) if len(time_s) > 1 else raised
    share = smooth_step(raised)
    to_and_fro = np.sin(2 * np.pi * 1.7 * begun)
    arm, forearm, hand = (BODY_JOINTS.index(f"Right{part}") for part in ("Arm", "ForeArm", "Hand"))
    up = quaternion_multiply(_vector("x", np.full(len(time_s), -0.25)), _vector("z", np.full(len(time_s), -0.18)))
    q[:, arm] = slerp(q[:, arm], up, share)
    q[:, forearm] = slerp(q[:, forearm], _vector("z", -1.20 - 0.33 * to_and_fro), share)
    q[:, hand] = slerp(q[:, hand], _vector("z", -0.22 * to_and_fro), share)


def ground_contact(motion: Motion) -> Bool[np.ndarray, "time 2"]:
    """Whether the left and the right foot stands on y = 0, found from any motion of BODY_JOINTS.

    A foot stands while its heel or its ball is low and slow, for longer than a moment.
    """
    skeleton, rate = motion.skeleton, float(motion.frame_rate)
    rest = rest_pose(skeleton.parents, skeleton.T_parent_joint)[:, :3, 3]
    T = motion.T_world_joint()
    leg_m = rest[BODY_JOINTS.index("Hips"), 1]
    stands = np.zeros((len(motion), 2), bool)
    for side, (name, _) in enumerate(SIDES):
        foot, toes = BODY_JOINTS.index(f"{name}Foot"), BODY_JOINTS.index(f"{name}ToeBase")
        for joint, behind_m in ((foot, HEEL_BEHIND_M), (toes, 0.0)):
            sole = T[:, joint, :3, 3] + T[:, joint, :3, :3] @ np.array([0.0, -rest[joint, 1], -behind_m])
            speed = np.linalg.norm(np.gradient(sole, axis=0), axis=1) * rate if len(sole) > 1 else np.zeros(1)
            stands[:, side] |= (sole[:, 1] < STANDING_LOW * leg_m) & (speed < STANDING_SLOW_PER_S * leg_m)
    brief = np.ones((max(1, round(SHORTEST_S * rate)), 1), bool)
    padded = np.pad(stands, ((len(brief), len(brief)), (0, 0)), mode="edge")
    return binary_opening(binary_closing(padded, brief), brief)[len(brief) : -len(brief)]
