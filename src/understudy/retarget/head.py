"""A head larger than the actor's nods and tilts less where it would sink into chest and shoulders.

The head is the stack of ellipses that arms keep clear of; chest and shoulders are points on it. As deep as the head is
in them at rest, and as deep as the actor's own head goes in this moment, the character's may go too.
"""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d, minimum_filter1d

from understudy.geometry.rotations import matrix_from_vector, rotation_between, vector_from_matrix
from understudy.retarget.arms import Column, Trunk, interpolated
from understudy.retarget.pose import CharacterPose
from understudy.retarget.rest import SIDES

__all__ = ["clear_shoulders"]

CHEST, TURNED = "Spine2", ("Neck", "Head")
SHARES = np.linspace(1.0, 0.0, 13)
"""Shares of the tilt that are tried, from all of it to none."""
RING = np.linspace(0.0, 2 * np.pi, 16, endpoint=False)
"""Where points lie around the chest's upper end, in radians."""
TOLERANCE_SHARE = 0.005
"""What is let pass, of the leg's length: 4 mm of a grown person."""
SMOOTH_OVER_S = 0.08


def clear_shoulders(
    pose: CharacterPose, mine: Trunk, actor_pose: CharacterPose, theirs: Trunk, frame_rate: float
) -> CharacterPose:
    """The pose with head and neck tilted by as much of the actor's tilt as leaves the head outside the shoulders."""
    roles = [role for role in TURNED if role in pose.turns]
    if "Head" not in roles or CHEST not in pose.turns or head_of(mine) is None or head_of(theirs) is None:
        return pose
    if not set(TURNED) <= actor_pose.turns.keys():
        return pose
    allowed = pose.body.leg_m / actor_pose.body.leg_m * depth_in_head(actor_pose, theirs)
    tolerance_m = TOLERANCE_SHARE * pose.body.leg_m
    if depth_in_head(pose, mine).max() <= (allowed + tolerance_m).min():
        return pose
    chest = pose.turns[CHEST]
    tilts = {role: tilt_and_rest(chest.swapaxes(1, 2) @ pose.turns[role]) for role in roles}

    def tilted(share: Float[np.ndarray, " time"]) -> CharacterPose:
        turns = {role: chest @ matrix_from_vector(share[:, None] * tilt) @ rest for role, (tilt, rest) in tilts.items()}
        return pose.changed(turns, pose.at("Hips"))

    share = np.zeros(len(chest))
    for tried in SHARES[::-1]:
        fits = depth_in_head(tilted(np.full(len(chest), tried)), mine) <= allowed + tolerance_m
        share = np.where(fits, tried, share)
    width = SMOOTH_OVER_S * frame_rate
    # The least of what is near first, so that smoothing does not tilt the head in again.
    share = gaussian_filter1d(minimum_filter1d(share, 2 * round(width) + 1, mode="nearest"), width, mode="nearest")
    return tilted(share) if share.min() < 1.0 else pose


def head_of(trunk: Trunk) -> Column | None:
    """The head's ellipses."""
    return next((column for column in trunk.columns if column.role == "Head"), None)


def tilt_and_rest(
    R: Float[np.ndarray, "time 3 3"],
) -> tuple[Float[np.ndarray, "time 3"], Float[np.ndarray, "time 3 3"]]:
    """A turn as a tilt of the upright axis (rotation vector), after what turns about that axis."""
    tilt = rotation_between(np.broadcast_to([0.0, 1.0, 0.0], R[:, :, 1].shape), R[:, :, 1])
    return vector_from_matrix(tilt), tilt.swapaxes(1, 2) @ R


def depth_in_head(pose: CharacterPose, trunk: Trunk) -> Float[np.ndarray, " time"]:
    """How much deeper than at rest the head has chest and shoulders inside it, in metres."""
    at_rest = CharacterPose.build(pose.body, {role: np.eye(3)[None] for role in pose.turns}, pose.body.at("Hips")[None])
    return np.maximum(depths(pose, trunk) - depths(at_rest, trunk), 0.0).max(1)


def depths(pose: CharacterPose, trunk: Trunk) -> Float[np.ndarray, "time point"]:
    """Of points on the chest's upper end and of the shoulders, within the head."""
    head = head_of(trunk)
    assert head is not None
    points = [pose.at(f"{side}Arm")[:, None] for side in SIDES if f"{side}Arm" in pose.body.roles]
    chest = next((column for column in trunk.columns if column.role == CHEST), None)
    if chest is not None:
        # The neck above bends with the head.
        neck_m = pose.body.at("Neck" if "Neck" in pose.body.roles else "Head")[1]
        upper = (chest.heights <= neck_m) & (chest.heights >= 0.5 * (chest.heights[0] + neck_m))
        flat = chest.centres[upper, None] + chest.radii[upper, None] * np.stack([np.cos(RING), np.sin(RING)], -1)
        heights = np.broadcast_to(chest.heights[upper, None], flat.shape[:2])
        rest = np.stack([flat[..., 0], heights, flat[..., 1]], -1).reshape(-1, 3) - pose.body.at(CHEST)
        points.append(pose.at(CHEST)[:, None] + np.einsum("tij,pj->tpi", pose.turns[CHEST], rest))
    q = np.einsum("tji,tpj->tpi", pose.turns["Head"], np.concatenate(points, 1) - pose.at("Head")[:, None])
    q = q + pose.body.at("Head")
    y = q[..., 1]
    radii = interpolated(y, head.heights, head.radii)
    share = np.linalg.norm((q[..., [0, 2]] - interpolated(y, head.heights, head.centres)) / radii, axis=-1)
    aside, below = (1.0 - share) * radii.min(-1), np.minimum(y - head.heights[0], head.heights[-1] - y)
    return np.minimum(aside, below)
