"""The path of a body of other proportions goes over what carries it: feet that stand or glide, hands in a handstand.

A path that is scaled from the hips puts a short leg that leans away from them elsewhere than the actor's foot was: a
skater's double stands behind the blade's place on the ice. So the slow part of that difference is taken out. Its fast
part is that of steps, which are shorter on shorter legs, and stays.
"""

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d

from understudy.retarget.arms import arm_points
from understudy.retarget.pose import CharacterPose
from understudy.retarget.rest import SIDES

__all__ = ["over_support"]

LOWEST_SHARE = 0.03
"""A part that is higher than the lowest one by this share of the leg's length carries little of the weight."""
AIR_SHARE = 0.15
"""From about this share of the leg's length above the ground nothing carries the body: it is in the air."""
SMOOTH_OVER_S = 0.35
"""Standard deviation of the Gaussian that parts what leans for a while from steps, in seconds: half a step's time."""
MIN_CARRIED = 0.02
"""Of its weights: where the body is in the air for longer, the path is left as it is."""
OVER_GROUND = np.array([1.0, 0.0, 1.0])


def over_support(pose: CharacterPose, actor_pose: CharacterPose, scale: float, frame_rate: float) -> CharacterPose:
    """The pose moved over the ground so that what carries it is where the actor's support is, in a world of `scale`.

    The same body stays where it is.
    """
    places, theirs = support_places(pose), support_places(actor_pose)
    parts = [part for part in theirs if part in places]
    if not parts or not len(pose.p):
        return pose
    height = np.stack([lowest_m(actor_pose, part) for part in parts]) / actor_pose.body.leg_m
    lowest = np.maximum(height.min(0), 0.0)
    low = np.exp(-(((height - height.min(0)) / LOWEST_SHARE) ** 2))
    share = low / low.sum(0) * np.exp(-((lowest / AIR_SHARE) ** 2))
    # In a walk each foot carries half the time, and both together are where the hips are.
    share = gaussian_filter1d(share, SMOOTH_OVER_S * frame_rate, axis=1, mode="nearest")
    away = np.stack([(scale * theirs[part] - places[part]) * OVER_GROUND for part in parts])
    carried = np.concatenate([(share[..., None] * away).sum(0), share.sum(0)[:, None]], 1)
    slow = gaussian_filter1d(carried, SMOOTH_OVER_S * frame_rate, axis=0, mode="nearest")
    return pose.changed({}, pose.at("Hips") + slow[:, :3] / (slow[:, 3:] + MIN_CARRIED))


def support_places(pose: CharacterPose) -> dict[str, Float[np.ndarray, "time 3"]]:
    """What may carry the body, by its role: the ankles, below which feet of any length stand, and the hands."""
    found = {f"{side}Foot": pose.at(f"{side}Foot") for side in pose.body.soles}
    for side in SIDES:
        if {f"{side}Arm", f"{side}ForeArm", f"{side}Hand"} <= pose.body.roles.keys():
            found[f"{side}Hand"] = arm_points(pose, side)[:, -1]
    return found


def lowest_m(pose: CharacterPose, part: str) -> Float[np.ndarray, " time"]:
    """How far a part's lowest point is above the ground."""
    if part.endswith("Hand"):
        return arm_points(pose, part.removesuffix("Hand"))[:, -1, 1]
    sole = pose.body.soles[part.removesuffix("Foot")]
    return np.minimum(pose.carried(part, sole.heel)[:, 1], pose.carried(part, sole.ball)[:, 1])
