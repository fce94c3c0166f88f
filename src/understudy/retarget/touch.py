"""Hands that touch the body, each other or the ground still do on a body of other proportions.

A hand near the actor's trunk or head has a place there: a height on the column, a direction, a gap. The character's
hand is brought to the same place of its own body by bending its arm; how firmly depends on how near the actor's is.
"""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from understudy.geometry.rotations import rotation_between
from understudy.geometry.vectors import smooth_step, unit
from understudy.retarget.arms import HAND_SHARE, Column, Trunk, arm_points, interpolated
from understudy.retarget.feet import across, limb_turns, rotated
from understudy.retarget.pose import CharacterPose
from understudy.retarget.rest import SIDES

__all__ = ["keep_touches"]

TOUCH_SHARE, NEAR_SHARE = 0.02, 0.07
"""A gap of the first share of the leg's length is a touch, one of the second none."""
CLASP_SHARE, APART_SHARE = 0.12, 0.2
"""The same of the distance between the middles of two hands, and of a hand's middle above the ground."""
SMOOTH_OVER_S = 0.04
MAX_STRETCH = 0.999
Points = Float[np.ndarray, "time 3"]
Weights = Float[np.ndarray, " time"]


def keep_touches(
    pose: CharacterPose, mine: Trunk, actor_pose: CharacterPose, theirs: Trunk, frame_rate: float
) -> CharacterPose:
    """The pose with hands where the actor's hands touch something, as far as the arms reach."""
    sides = [side for side in SIDES if {f"{side}Arm", f"{side}ForeArm", f"{side}Hand"} <= pose.body.roles.keys()]
    found = {
        side: [*on_body(pose, mine, actor_pose, theirs, side), on_ground(pose, actor_pose, side)] for side in sides
    }
    if len(sides) == 2:
        for side, clasp in clasped(pose, actor_pose).items():
            found[side].append(clasp)
    turns = {}
    for side, touches in found.items():
        weights = np.stack([weight for weight, _ in touches])
        if not weights.any():
            continue
        hand = arm_points(pose, side)[:, -1]
        moves = np.stack([target - hand for _, target in touches])
        # The nearest touch counts most; together they pull as firmly as it does.
        shares = weights**2 / np.maximum((weights**2).sum(0), 1e-12) * weights.max(0)
        move = (shares[..., None] * moves).sum(0)
        move = gaussian_filter1d(move, SMOOTH_OVER_S * frame_rate, axis=0, mode="nearest")
        turns |= reaching_arm(pose, side, hand + move)
    return pose.changed(turns, pose.at("Hips")) if turns else pose


def on_body(
    pose: CharacterPose, mine: Trunk, actor_pose: CharacterPose, theirs: Trunk, side: str
) -> list[tuple[Weights, Points]]:
    """For each part of trunk and head: how much the actor's hand touches it, and where that is on the character."""
    hand, leg_m = arm_points(actor_pose, side)[:, -1], actor_pose.body.leg_m
    size = pose.body.leg_m / leg_m
    own = {column.role: column for column in mine.columns}
    found = []
    for column in theirs.columns:
        if column.role not in own:
            continue
        q = np.einsum("tji,tj->ti", actor_pose.turns[column.role], hand - actor_pose.at(column.role))
        q = q + actor_pose.body.at(column.role)
        radii = widths(column, q[:, 1]) + theirs.arm_radius_m[side]
        flat = q[:, [0, 2]] - middles(column, q[:, 1])
        share = np.maximum(np.linalg.norm(flat / radii, axis=1), 1e-6)
        gap = np.linalg.norm(flat, axis=1) * (1 - 1 / share)
        beyond = np.maximum(np.maximum(column.heights[0] - q[:, 1], q[:, 1] - column.heights[-1]), 0.0)
        weight = nearness(np.hypot(np.maximum(gap, 0.0), beyond), TOUCH_SHARE * leg_m, NEAR_SHARE * leg_m)
        target = own[column.role]
        low, high = column.heights[[0, -1]]
        y = target.heights[0] + (q[:, 1] - low) / (high - low) * np.ptp(target.heights)
        surface = (widths(target, y) + mine.arm_radius_m[side]) * flat / (radii * share[:, None])
        surface = surface + size * gap[:, None] * unit(surface)
        x, z = (middles(target, y) + surface).T
        there = np.stack([x, y, z], 1) - pose.body.at(column.role)
        found.append((weight, pose.at(column.role) + rotated(pose.turns[column.role], there)))
    return found


def clasped(pose: CharacterPose, actor_pose: CharacterPose) -> dict[str, tuple[Weights, Points]]:
    """How much the actor's hands touch each other, and where the character's two meet."""
    theirs, mine = ([arm_points(one, side)[:, -1] for side in SIDES] for one in (actor_pose, pose))
    apart, leg_m = theirs[0] - theirs[1], actor_pose.body.leg_m
    weight = nearness(np.linalg.norm(apart, axis=1), CLASP_SHARE * leg_m, APART_SHARE * leg_m)
    middle, half = 0.5 * (mine[0] + mine[1]), 0.5 * pose.body.leg_m / leg_m * apart
    return {"Left": (weight, middle + half), "Right": (weight, middle - half)}


def on_ground(pose: CharacterPose, actor_pose: CharacterPose, side: str) -> tuple[Weights, Points]:
    """How much the actor's hand touches the ground, and where the character's does."""
    theirs, target, leg_m = (
        arm_points(actor_pose, side)[:, -1],
        arm_points(pose, side)[:, -1].copy(),
        actor_pose.body.leg_m,
    )
    target[:, 1] = theirs[:, 1] * pose.body.leg_m / leg_m
    return nearness(theirs[:, 1], CLASP_SHARE * leg_m, APART_SHARE * leg_m), target


def nearness(distance: Weights, touching: float, none: float) -> Weights:
    """1 for a touch, 0 for none."""
    return 1 - smooth_step((distance - touching) / (none - touching))


def widths(column: Column, y: Weights) -> Float[np.ndarray, "time 2"]:
    """Half width and half depth at heights."""
    return interpolated(y[:, None], column.heights, column.radii)[:, 0]


def middles(column: Column, y: Weights) -> Float[np.ndarray, "time 2"]:
    """x and z of the middle at heights."""
    return interpolated(y[:, None], column.heights, column.centres)[:, 0]


def reaching_arm(pose: CharacterPose, side: str, target: Points) -> dict[str, Float[np.ndarray, "time 3 3"]]:
    """Turns of arm and forearm that bring the hand's middle to `target`; the elbow stays on its side."""
    arm, forearm, hand = (f"{side}{part}" for part in ("Arm", "ForeArm", "Hand"))
    shoulder, elbow, end = pose.at(arm), pose.at(forearm), arm_points(pose, side)[:, -1]
    upper = float(np.linalg.norm(pose.body.at(forearm) - pose.body.at(arm)))
    lower = (1 + HAND_SHARE) * float(np.linalg.norm(pose.body.at(hand) - pose.body.at(forearm)))
    away = target - shoulder
    distance = np.clip(np.linalg.norm(away, axis=1, keepdims=True), abs(upper - lower) + 1e-6, None)
    # An arm that is straight already stays as long as it is; none is stretched to its end by a touch.
    longest = np.maximum(np.linalg.norm(end - shoulder, axis=1, keepdims=True), MAX_STRETCH * (upper + lower))
    distance, away = np.minimum(distance, longest), unit(away)
    swing = rotation_between(end - shoulder, away)
    side_of_elbow = unit(across(rotated(swing, elbow - shoulder), away))
    first, second = limb_turns(swing, (shoulder, elbow, end), away, distance, side_of_elbow)
    moved = (np.linalg.norm(target - end, axis=1) > 1e-9)[:, None, None]
    first, second = (np.where(moved, turn, np.eye(3)) for turn in (first, second))
    return {arm: first @ pose.turns[arm], forearm: second @ pose.turns[forearm], hand: second @ pose.turns[hand]}
