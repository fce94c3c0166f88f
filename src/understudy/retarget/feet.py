"""Feet that stand stay where they stand, feet that glide stay on the ground, and none goes below it.

Source: Kovar, Schreiner and Gleicher 2002, Footskate cleanup for motion capture editing, for the plan (plant, lower the
root, bend the legs, blend); the two-bone solution is elementary.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from understudy.geometry.rotations import matrix_from_vector, rotation_between
from understudy.geometry.vectors import smooth_step, unit
from understudy.retarget.contacts import FootContacts, runs_of
from understudy.retarget.pose import CharacterPose
from understudy.retarget.rest import SIDES

__all__ = ["across", "limb_turns", "plant_feet", "rotated"]

BLEND_S = 0.25
"""How long it takes from a foot's own way onto its planted place and off again."""
PLATFORM_SHARE = 0.12
"""A foot that stands higher than this share of the leg stands on something: its height is kept."""
CARRY_OVER_S = 0.12
"""Time over which the body follows what its standing feet are moved by."""
MAX_LOWERED_SHARE = 0.3
LOWER_OVER_S = 0.2
EVEN_SOLE_M = 0.01
EVEN_SPEED_M_S = 0.05
"""Points of a sole that differ by less in height and in speed carry the weight together."""
HOLD_ROUNDS, HELD_M = 40, 1e-5
AHEAD, UP = np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])
OVER_GROUND = 1 - UP
KNEE_SHARE = 0.08
"""A knee that stands out from the leg's line by less than this share of the leg says little about where it points."""
MIN_MOVE_SHARE = 0.003
TOES_BEND_OVER_S = 0.05
"""Time over which toes that point down are brought level as their foot comes to stand, and let go again."""


@dataclass(frozen=True)
class FootPath:
    """A foot's sole as the pose has it."""

    heel: Float[np.ndarray, "time 3"]
    ball: Float[np.ndarray, "time 3"]
    tip: Float[np.ndarray, "time 3"]

    @property
    def lowest_m(self) -> Float[np.ndarray, " time"]:
        """Height of the lowest point."""
        return np.minimum(np.minimum(self.heel[:, 1], self.ball[:, 1]), self.tip[:, 1])


def plant_feet(pose: CharacterPose, contacts: FootContacts, frame_rate: float) -> CharacterPose:
    """The pose with feet on the ground where they touch it, held if they stand; hips come down where legs don't reach.

    Feet keep their rotation: a heel that rises turns about the ball, which stays.
    """
    sides = [side for side in SIDES if side in pose.body.soles]
    if not sides or not len(pose.p):
        return pose
    stands = {side: contacts.standing[:, SIDES.index(side)] for side in sides}
    touches = {side: stands[side] | contacts.gliding[:, SIDES.index(side)] for side in sides}
    toes = {}
    for side in sides:
        toes |= flat_toes(pose, side, touches[side], frame_rate)
    pose = pose.changed(toes, pose.at("Hips"))
    paths = {side: foot_path(pose, side) for side in sides}
    held = {side: held_shift(paths[side], stands[side], frame_rate) for side in sides}
    level = {side: levelled_shift(paths[side], touches[side], pose.body.leg_m) for side in sides}
    carried = shared_shift(held, stands, frame_rate) + shared_shift(level, touches, frame_rate)
    targets = {}
    for side in sides:
        shift = carried + eased(held[side] - carried * OVER_GROUND, stands[side], frame_rate)
        shift += eased(level[side] - carried * UP, touches[side], frame_rate)
        under = np.minimum(paths[side].lowest_m + shift[:, 1], 0.0)
        shift[:, 1] -= np.where(touches[side], 0.0, under)
        targets[side] = pose.at(f"{side}Foot") + shift
    pose = pose.changed({}, pose.at("Hips") + carried)
    lowered = hips_lowering(pose, targets, touches, frame_rate)
    hips_m = pose.at("Hips") - lowered[:, None] * UP
    pose = pose.changed({}, hips_m)
    turns = {}
    for side, target in targets.items():
        turns |= bent_leg(pose, side, target)
    return pose.changed(turns, hips_m)


def foot_path(pose: CharacterPose, side: str) -> FootPath:
    """Where the three points under a foot go."""
    sole = pose.body.soles[side]
    front = f"{side}ToeBase" if f"{side}ToeBase" in pose.body.roles else f"{side}Foot"
    return FootPath(
        pose.carried(f"{side}Foot", sole.heel), pose.carried(f"{side}Foot", sole.ball), pose.carried(front, sole.tip)
    )


def flat_toes(
    pose: CharacterPose, side: str, standing: Bool[np.ndarray, " time"], frame_rate: float
) -> dict[str, Float[np.ndarray, "time 3 3"]]:
    """Turns of the toes that keep them on the ground while a standing foot's heel rises, as toes do."""
    role = f"{side}ToeBase"
    if role not in pose.body.roles:
        return {}
    turn, sole = pose.turns[role], pose.body.soles[side]
    length = float(np.linalg.norm(sole.tip - sole.ball))
    if length < 1e-6:
        return {}
    ahead = rotated(turn, (sole.tip - sole.ball) / length)
    down = np.arcsin(np.clip(-ahead[:, 1], -1.0, 1.0))
    firmly = gaussian_filter1d(standing.astype(np.float64), TOES_BEND_OVER_S * frame_rate, mode="nearest")
    # A limit, not a share of the angle: toes that obey it stay as they are.
    lift = np.maximum(down - (1 - firmly) * 0.5 * np.pi, 0.0)
    return {role: matrix_from_vector(lift[:, None] * unit(np.cross(ahead, UP))) @ turn}


def shared_shift(
    held: dict[str, Float[np.ndarray, "time 3"]], stands: dict[str, Bool[np.ndarray, " time"]], frame_rate: float
) -> Float[np.ndarray, "time 3"]:
    """The slow part of what standing feet are moved by, which the whole body goes along with.

    So legs keep their bend, where otherwise a stretched knee would pay for a centimetre at the foot.
    """
    count = np.sum([flags.astype(np.float64) for flags in stands.values()], 0)
    total = np.sum([np.where(stands[side][:, None], shift, 0.0) for side, shift in held.items()], 0)
    known = np.flatnonzero(count)
    if not len(known):
        return np.zeros((len(count), 3))
    mean = total[known] / count[known, None]
    whole = np.stack([np.interp(np.arange(len(count)), known, mean[:, axis]) for axis in range(3)], 1)
    return gaussian_filter1d(whole, CARRY_OVER_S * frame_rate, axis=0, mode="nearest")


def eased(
    shift: Float[np.ndarray, "time 3"], standing: Bool[np.ndarray, " time"], frame_rate: float
) -> Float[np.ndarray, "time 3"]:
    """A shift as it is while the foot stands, led smoothly from one stand to the next, and to nothing far from any."""
    shift = np.where(standing[:, None], shift, 0.0)
    blend = max(1.0, BLEND_S * frame_rate)
    edges = [(0, None), *runs_of(standing), (len(standing), None)]
    for (start, before), (after, end) in pairwise(edges):
        first = start if before is None else before
        gap = np.arange(first, after)
        if not len(gap):
            continue
        left = shift[before - 1] if before is not None else None
        right = shift[after] if end is not None else None
        shift[gap] = blended(gap - first + 1.0, after - gap + 0.0, left, right, blend)
    return shift


def held_shift(path: FootPath, standing: Bool[np.ndarray, " time"], frame_rate: float) -> Float[np.ndarray, "time 3"]:
    """The shift over the ground that holds a foot while it stands: what carries it does not slide, heel, ball or tip.

    That is what is lowest and moves least. Of all such shifts, the one nearest to the foot's own way. Zero elsewhere.
    """
    result = np.zeros_like(path.heel)
    for first, last in runs_of(standing):
        points = np.stack([path.heel[first:last], path.ball[first:last], path.tip[first:last]])
        # Where a point is held, others move more: found again from there, until the shift holds what it goes by.
        for _ in range(HOLD_ROUNDS):
            shift = still_shift(points, frame_rate)
            result[first:last] += shift
            points = points + shift
            if np.abs(shift).max(initial=0.0) < HELD_M:
                break
    return result


def still_shift(points: Float[np.ndarray, "3 time 3"], frame_rate: float) -> Float[np.ndarray, "time 3"]:
    """The shift over the ground that takes out the steps of what is lowest and moves least, once."""
    step = np.diff(points, axis=1)
    speed = np.linalg.norm(step * OVER_GROUND, axis=2) * frame_rate
    height = 0.5 * (points[:, 1:, 1] + points[:, :-1, 1])
    weight = np.exp(-(height - height.min(0)) / EVEN_SOLE_M - (speed - speed.min(0)) / EVEN_SPEED_M_S)
    step = (weight[..., None] * step).sum(0) / weight.sum(0)[:, None]
    shift = np.zeros_like(points[0])
    shift[1:] = -np.cumsum(step, 0)
    return (shift - shift.mean(0)) * OVER_GROUND


def levelled_shift(path: FootPath, touching: Bool[np.ndarray, " time"], leg_m: float) -> Float[np.ndarray, "time 3"]:
    """The shift that puts a foot's lowest point on the ground, or on the platform it stands on, while it touches."""
    result = np.zeros_like(path.heel)
    for first, last in runs_of(touching):
        lowest = path.lowest_m[first:last]
        level = np.median(lowest)
        result[first:last, 1] = (level if level > PLATFORM_SHARE * leg_m else 0.0) - lowest
    return result


def blended(
    since: Float[np.ndarray, " gap"],
    until: Float[np.ndarray, " gap"],
    left: Float[np.ndarray, "3"] | None,
    right: Float[np.ndarray, "3"] | None,
    blend: float,
) -> Float[np.ndarray, "gap 3"]:
    """Between two held places: off the one, onto the other; straight across where there is no time for both."""
    length = since + until
    if left is not None and right is not None and length[0] < 2 * blend:
        share = smooth_step(since / length)[:, None]
        return (1 - share) * left + share * right
    result = np.zeros((len(since), 3))
    if left is not None:
        result += (1 - smooth_step(since / blend))[:, None] * left
    if right is not None:
        result += (1 - smooth_step(until / blend))[:, None] * right
    return result


def hips_lowering(
    pose: CharacterPose,
    targets: dict[str, Float[np.ndarray, "time 3"]],
    stands: dict[str, Bool[np.ndarray, " time"]],
    frame_rate: float,
) -> Float[np.ndarray, " time"]:
    """How far the hips come down so that standing feet are reached: smooth in time, never less than needed."""
    needed = np.zeros(len(pose.p))
    for side, target in targets.items():
        hip = pose.at(f"{side}UpLeg")
        reach = leg_reach(pose, side)
        across = np.hypot(target[:, 0] - hip[:, 0], target[:, 2] - hip[:, 2])
        highest = target[:, 1] + np.sqrt(np.maximum(reach**2 - across**2, 0.0))
        # A difference that rounding makes is no reason to touch the pose.
        short = np.where(hip[:, 1] - highest > 1e-9, hip[:, 1] - highest, 0.0)
        needed = np.maximum(needed, np.where(stands[side], short, 0.0))
    needed = np.minimum(needed, MAX_LOWERED_SHARE * pose.body.leg_m)
    if not needed.any():
        return needed
    sigma = LOWER_OVER_S * frame_rate / 2
    envelope = maximum_filter1d(needed, 2 * max(1, round(2 * sigma)) + 1, mode="nearest")
    return np.maximum(gaussian_filter1d(envelope, sigma, mode="nearest", truncate=2.0), needed)


def leg_reach(pose: CharacterPose, side: str) -> float:
    """From hip to ankle along a stretched leg."""
    hip, knee, ankle = (pose.body.at(f"{side}{part}") for part in ("UpLeg", "Leg", "Foot"))
    return float(np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee))


def bent_leg(
    pose: CharacterPose, side: str, target: Float[np.ndarray, "time 3"]
) -> dict[str, Float[np.ndarray, "time 3 3"]]:
    """Turns of thigh and shin that bring the ankle to `target`; the knee stays on the side where it was.

    Where a leg is all but straight, its knee goes the way that knees go: to the thigh's front.
    """
    thigh_role, shin_role, foot_role = (f"{side}{part}" for part in ("UpLeg", "Leg", "Foot"))
    hip, knee, ankle = pose.at(thigh_role), pose.at(shin_role), pose.at(foot_role)
    move = np.linalg.norm(target - ankle, axis=1)
    touched = move > 1e-9
    if not touched.any():
        return {}
    hip, knee, ankle, target, move = (values[touched] for values in (hip, knee, ankle, target, move))
    thigh_turn, shin_turn = pose.turns[thigh_role][touched], pose.turns[shin_role][touched]
    upper = float(np.linalg.norm(pose.body.at(shin_role) - pose.body.at(thigh_role)))
    lower = float(np.linalg.norm(pose.body.at(foot_role) - pose.body.at(shin_role)))
    away = target - hip
    distance = np.linalg.norm(away, axis=1, keepdims=True)
    away = away / np.maximum(distance, 1e-9)
    distance = np.clip(distance, abs(upper - lower) + 1e-6, upper + lower)
    swing = rotation_between(ankle - hip, away)
    side_of_knee = knee_side(rotated(swing, knee - hip), rotated(swing @ thigh_turn, AHEAD), away, upper + lower, move)
    first, second = limb_turns(swing, (hip, knee, ankle), away, distance, side_of_knee)
    thigh, shin = pose.turns[thigh_role].copy(), pose.turns[shin_role].copy()
    thigh[touched], shin[touched] = first @ thigh_turn, second @ shin_turn
    return {thigh_role: thigh, shin_role: shin}


def limb_turns(
    swing: Float[np.ndarray, "time 3 3"],
    joints: tuple[Float[np.ndarray, "time 3"], Float[np.ndarray, "time 3"], Float[np.ndarray, "time 3"]],
    away: Float[np.ndarray, "time 3"],
    distance: Float[np.ndarray, "time 1"],
    side: Float[np.ndarray, "time 3"],
) -> tuple[Float[np.ndarray, "time 3 3"], Float[np.ndarray, "time 3 3"]]:
    """By how much a limb's two bones turn so that its end is at a `distance` `away` from its start.

    `joints` are start, middle and end; `swing` turns the line between the ends; the middle stands out to `side`.
    """
    start, middle, end = joints
    upper, lower = (np.linalg.norm(b - a, axis=1, keepdims=True) for a, b in ((start, middle), (middle, end)))
    along = (upper**2 - lower**2 + distance**2) / (2 * distance)
    bend = along * away + np.sqrt(np.maximum(upper**2 - along**2, 0.0)) * side
    first = rotation_between(rotated(swing, middle - start), bend) @ swing
    return first, rotation_between(rotated(first, end - middle), distance * away - bend) @ first


def knee_side(
    thigh: Float[np.ndarray, "time 3"],
    front: Float[np.ndarray, "time 3"],
    away: Float[np.ndarray, "time 3"],
    leg_m: float,
    move: Float[np.ndarray, " time"],
) -> Float[np.ndarray, "time 3"]:
    """Which way a knee stands out from the line from hip to ankle (`away`), as unit vectors.

    As in the pose, if it stands out there clearly or the foot is hardly moved; else to the thigh's front.
    """
    out = across(thigh, away)
    clearly = smooth_step(np.linalg.norm(out, axis=1) / (KNEE_SHARE * leg_m))
    keep = 1 - (1 - clearly) * smooth_step(move / (MIN_MOVE_SHARE * leg_m))
    side = keep[:, None] * unit(out) + (1 - keep)[:, None] * unit(across(front, away))
    return np.where((np.linalg.norm(side, axis=1) > 1e-9)[:, None], unit(side), across_any(away))


def rotated(R: Float[np.ndarray, "time 3 3"], v: np.ndarray) -> Float[np.ndarray, "time 3"]:
    """Each vector (or the one) turned by its rotation."""
    return np.einsum("tij,tj->ti", R, np.broadcast_to(v, (len(R), 3)))


def across(v: Float[np.ndarray, "time 3"], axis: Float[np.ndarray, "time 3"]) -> Float[np.ndarray, "time 3"]:
    """The part of v at right angles to a unit axis."""
    return v - np.einsum("ti,ti->t", v, axis)[:, None] * axis


def across_any(axis: Float[np.ndarray, "time 3"]) -> Float[np.ndarray, "time 3"]:
    """Some unit vector at right angles to a unit axis."""
    return unit(across(np.eye(3)[np.abs(axis).argmin(1)], axis))
