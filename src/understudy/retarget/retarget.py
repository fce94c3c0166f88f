"""An actor's motion on a character's skeleton: the stage.

Source: DreamCinema (Chen et al. 2024), section III-C, structure-guided character animation: what the character's rest
pose adds to a motion (ΔR) is taken out again, so that the character does what the actor did. The paper does so for
key joints in the front plane; here it is done in space.
"""

from dataclasses import dataclass
from typing import get_args

import numpy as np
from jaxtyping import Bool, Float

from understudy.core.character import Character
from understudy.core.motion import BODY_JOINTS, Motion
from understudy.geometry.rotations import (
    continuous,
    matrix_from_quaternion,
    quaternion_from_matrix,
    slerp,
)
from understudy.retarget.arms import clear_trunk, measure_trunk
from understudy.retarget.contacts import find_contacts
from understudy.retarget.feet import plant_feet
from understudy.retarget.foot_lock import FootLock
from understudy.retarget.head import clear_shoulders
from understudy.retarget.pose import CharacterPose
from understudy.retarget.rest import Body, measure, rest_corrections
from understudy.retarget.springs import swung
from understudy.retarget.support import over_support
from understudy.retarget.touch import keep_touches
from understudy.retarget.twist import spread_twist
from understudy.runtime.errors import InputError, quoted

__all__ = ["RetargetConfig", "retarget_motion", "world_scale"]

TRUNK = ("Hips", "Spine", "Spine1", "Spine2")
NECK = ("Spine2", "Neck", "Head")


@dataclass(frozen=True)
class RetargetConfig:
    """How an actor's motion is put on a character."""

    adapt: bool = True
    """Adapt to the character's rest pose and proportions; False copies rotations and path as they are."""
    foot_lock: FootLock = "auto"
    """Which feet are kept on the ground: auto holds them in place where the actor's surely stand, always wherever they
    may stand; ground keeps them from sinking and hovering and holds none in place; never leaves them alone. A foot
    that glides (skates, skis, a moonwalk) stays on the ground and is not held in place."""
    clear_arms: bool = True
    """Keep arms out of a trunk or head that is wider than the actor's, a larger head out of the shoulders, and hands on
    what the actor's hands touch."""
    springs: bool = True
    """Let hair, skirts, capes and tails swing, where the character has bones for them."""

    def __post_init__(self) -> None:
        if self.foot_lock not in get_args(FootLock):
            choices = ", ".join(get_args(FootLock))
            raise InputError(f"--foot-lock is {quoted(self.foot_lock)}; give one of {choices}")


def retarget_motion(
    motion: Motion,
    actor_body: Character,
    character: Character,
    config: RetargetConfig = RetargetConfig(),
    ground_contact: Bool[np.ndarray, "time 2"] | None = None,
) -> Motion:
    """The actor's motion on the character's skeleton, in the same world and at the same frame rate.

    `motion` is on `actor_body`'s skeleton: the joints of BODY_JOINTS with identity rest rotations. `character` has
    any rest pose and any joints; its `roles` say which play which part, and parts may be missing: what a missing
    joint would turn, its child turns as well. The path over the ground is scaled by the ratio of statures about the
    world's origin: the world as a whole is then larger or smaller, and a camera that is moved likewise sees the
    character where it saw the actor, on the same spots of the same set. `ground_contact` says when the left and the
    right foot stand; None finds out.

    Raises:
        ValueError: the motion is not on the canonical skeleton, or the character lacks hips or legs.
    """
    if motion.skeleton.names != BODY_JOINTS or actor_body.skeleton.names != BODY_JOINTS:
        raise ValueError("a motion is retargeted from the canonical skeleton (BODY_JOINTS)")
    if np.abs(motion.skeleton.T_parent_joint[:, :3, :3] - np.eye(3)).max() > 1e-6:
        raise ValueError("a motion is retargeted from a skeleton with identity rest rotations (a T-pose)")
    lacking = [
        role for role in ("Hips", "LeftUpLeg", "LeftLeg", "RightUpLeg", "RightLeg") if role not in character.roles
    ]
    if lacking:
        raise ValueError(f"{character.name} has no {', '.join(lacking)}: a motion needs hips and legs")
    actor, body = measure(actor_body), measure(character)
    T_actor = motion.T_world_joint()
    turns = role_turns(T_actor[..., :3, :3], actor, body, config.adapt)
    hips_m = hips_path(T_actor, actor, body, turns["Hips"]) if config.adapt else motion.root_position_m
    pose = CharacterPose.build(body, turns, hips_m)
    rate = float(motion.frame_rate)
    theirs = {role: T_actor[:, joint, :3, :3] for joint, role in enumerate(BODY_JOINTS)}
    actor_pose = CharacterPose.build(actor, theirs, motion.root_position_m)
    if config.adapt:
        pose = over_support(pose, actor_pose, body.stature_m / actor.stature_m, rate)
    arms = config.adapt and config.clear_arms
    trunks = (measure_trunk(character, body), actor_pose, measure_trunk(actor_body, actor)) if arms else None
    if trunks:
        pose = clear_trunk(clear_shoulders(pose, *trunks, rate), *trunks, rate)
    if config.adapt and config.foot_lock != "never":
        pose = plant_feet(pose, find_contacts(T_actor, actor, rate, config.foot_lock, ground_contact), rate)
    if trunks:
        pose = keep_touches(pose, *trunks, rate)
    performance = motion_of(pose, character, motion)
    return swung(performance, character) if config.springs else performance


def world_scale(actor_body: Character, character: Character) -> float:
    """How much larger an adapted character's path over the ground is than the actor's: the ratio of statures."""
    return measure(character).stature_m / measure(actor_body).stature_m


def role_turns(
    R_actor: Float[np.ndarray, "time 22 3 3"], actor: Body, body: Body, adapt: bool
) -> dict[str, Float[np.ndarray, "time 3 3"]]:
    """The turn of each of the character's roles since its rest pose, in the world.

    Along spine and neck the turns are read off the actor's by height on the chain, so that chains of other lengths bend
    alike.
    """
    corrections = rest_corrections(actor, body) if adapt else {role: np.eye(3) for role in body.roles}
    turns = {role: R_actor[:, BODY_JOINTS.index(role)] @ corrections[role] for role in body.roles}
    if adapt:
        for chain in (TRUNK, NECK):
            if chain[0] in body.roles and chain[-1] in body.roles:
                turns |= chain_turns(R_actor, actor, body, chain)
    return turns


def chain_turns(
    R_actor: Float[np.ndarray, "time 22 3 3"], actor: Body, body: Body, chain: tuple[str, ...]
) -> dict[str, Float[np.ndarray, "time 3 3"]]:
    """Turns of the roles inside a chain, whose ends turn as the actor's do."""
    theirs = np.array([share_along(actor, chain, role) for role in chain])
    turns = {}
    for role in chain[1:-1]:
        if role not in body.roles:
            continue
        share = share_along(body, chain, role)
        at = int(np.clip(np.searchsorted(theirs, share, "right") - 1, 0, len(chain) - 2))
        within = (share - theirs[at]) / (theirs[at + 1] - theirs[at])
        a, b = (quaternion_from_matrix(R_actor[:, BODY_JOINTS.index(chain[place])]) for place in (at, at + 1))
        turns[role] = matrix_from_quaternion(slerp(a, b, np.full(len(a), within)))
    return turns


def share_along(body: Body, chain: tuple[str, ...], role: str) -> float:
    """How far along the straight line from a chain's first joint to its last another stands, 0 … 1."""
    along = body.at(chain[-1]) - body.at(chain[0])
    return float(np.clip((body.at(role) - body.at(chain[0])) @ along / (along @ along), 0.0, 1.0))


def hips_path(
    T_actor: Float[np.ndarray, "time 22 4 4"], actor: Body, body: Body, hips_turns: Float[np.ndarray, "time 3 3"]
) -> Float[np.ndarray, "time 3"]:
    """Where the character's hips must be: over the ground by the ratio of statures, above it by that of legs.

    The middle between the hip joints is scaled, measured from the height of the ankles: a leg that is stretched on a
    standing actor is stretched on the character. Scaling the ground by the legs instead would keep each step a step,
    but take a short-legged character off the places in the picture where the actor walked (by half the way, for a
    knight with legs of half a man's), and the plate cannot follow.
    """
    legs, size = body.leg_m / actor.leg_m, body.stature_m / actor.stature_m
    left, right = (BODY_JOINTS.index(f"{side}UpLeg") for side in ("Left", "Right"))
    centre = 0.5 * (T_actor[:, left, :3, 3] + T_actor[:, right, :3, 3])
    theirs, mine = np.array([0.0, actor.ankle_height_m, 0.0]), np.array([0.0, body.ankle_height_m, 0.0])
    return np.array([size, legs, size]) * (centre - theirs) + mine - hips_turns @ (body.hip_centre - body.at("Hips"))


def motion_of(pose: CharacterPose, character: Character, source: Motion) -> Motion:
    """A pose in the world as rotations of the character's joints within their parents."""
    body = pose.body
    R = spread_twist(pose.D, body.twists, body.parents, body.positions, body.roles) @ body.R_model_joint
    local = R.copy()
    for joint, parent in enumerate(body.parents):
        if parent >= 0:
            local[:, joint] = R[:, parent].swapaxes(1, 2) @ R[:, joint]
    q = continuous(quaternion_from_matrix(local))
    return Motion(character.skeleton, q, pose.p[:, 0].copy(), source.frame_rate)
