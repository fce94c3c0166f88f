"""What a body is like before it moves: where its joints stand, how its bones point, where its soles are.

Everything is in the model's frame of the rest pose, in metres. A *turn* D of a joint is its rotation in the world since
the rest pose: R_world_joint = D · R_rest_joint. In turns, forward kinematics needs only rest positions, and joints of
rigs with any frames are alike.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from understudy.core.character import Character
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.rotations import matrix_from_vector, rotation_between
from understudy.retarget.twist import TwistJoint, find_twists

__all__ = ["SIDES", "Body", "Sole", "measure", "moved_by", "rest_corrections", "role_above", "weight_of"]

SIDES = ("Left", "Right")
ALIGNED = (("Arm", "ForeArm"), ("ForeArm", "Hand"), ("UpLeg", "Leg"), ("Leg", "Foot"))
"""Bones that must point as the actor's do, by the roles of their two ends."""

MIN_FLAT_SHARE = 0.5
MIN_PALM_TWIST = np.radians(50.0)
ABOVE = {"ForeArm": "Arm", "Leg": "UpLeg"}


@dataclass(frozen=True)
class Sole:
    """Three points under a foot, at rest: the lowest of the heel, of the ball, and of the tip of the toes."""

    heel: Float[np.ndarray, "3"]
    ball: Float[np.ndarray, "3"]
    tip: Float[np.ndarray, "3"]


@dataclass(frozen=True)
class Body:
    """A character's rest pose as retargeting sees it."""

    roles: dict[str, int]
    parents: tuple[int, ...]
    positions: Float[np.ndarray, "joint 3"]
    R_model_joint: Float[np.ndarray, "joint 3 3"]
    soles: dict[str, Sole]
    """By side; absent for a leg without a foot."""
    ground: float
    """Height of the lowest sole."""
    thumbs: dict[str, Float[np.ndarray, "3"]]
    """By side: which way the thumb points, where the rig has one."""
    crown_m: float
    """How far the top of what the head carries is above the head's joint."""
    twists: tuple[TwistJoint, ...] = ()
    """Joints that spread the twist of arms and legs."""

    def at(self, role: str) -> Float[np.ndarray, "3"]:
        """Rest position of the joint with that role."""
        return self.positions[self.roles[role]]

    @property
    def leg_m(self) -> float:
        """Length of the legs from hip to ankle (to the end of the mesh where there is no foot), mean of both."""
        lengths = []
        for side in SIDES:
            hip, knee = self.at(f"{side}UpLeg"), self.at(f"{side}Leg")
            end = self.at(f"{side}Foot") if f"{side}Foot" in self.roles else np.array([knee[0], self.ground, knee[2]])
            lengths.append(np.linalg.norm(knee - hip) + np.linalg.norm(end - knee))
        return float(np.mean(lengths))

    @property
    def ankle_height_m(self) -> float:
        """How far the ankles stand above their soles, mean of both; 0 without feet."""
        heights = [self.at(f"{side}Foot")[1] - sole.heel[1] for side, sole in self.soles.items()]
        return float(np.mean(heights)) if heights else 0.0

    @property
    def stature_m(self) -> float:
        """How tall it stands with straight legs, whatever its rest pose."""
        above = self.at("Head")[1] - self.hip_centre[1] + self.crown_m if "Head" in self.roles else 0.0
        return self.ankle_height_m + self.leg_m + float(above)

    @property
    def hip_centre(self) -> Float[np.ndarray, "3"]:
        """Half way between the two hip joints."""
        return 0.5 * (self.at("LeftUpLeg") + self.at("RightUpLeg"))


def measure(character: Character) -> Body:
    """The rest pose of a character."""
    skeleton = character.skeleton
    T = rest_pose(skeleton.parents, skeleton.T_parent_joint)
    soles = {}
    movers = moved_by(character)
    for side in SIDES:
        if f"{side}Foot" in character.roles:
            soles[side] = measure_sole(character, movers, T[:, :3, 3], side)
    points = np.array([point for sole in soles.values() for point in (sole.heel, sole.ball, sole.tip)])
    ground = points[:, 1].min() if len(points) else character.mesh.vertices[:, 1].min(initial=0.0)
    thumbs = {
        side: thumb
        for side in SIDES
        if (thumb := thumb_direction(character, T[:, :3, 3], character.roles.get(f"{side}Hand"))) is not None
    }
    crown_m = 0.0
    if "Head" in character.roles:
        carried = character.mesh.vertices[[role == "Head" for role in movers], 1]
        crown_m = float(carried.max(initial=T[character.roles["Head"], 1, 3]) - T[character.roles["Head"], 1, 3])
    positions = T[:, :3, 3]
    twists = find_twists(skeleton.names, skeleton.parents, positions, character.roles)
    return Body(
        character.roles, skeleton.parents, positions, T[:, :3, :3], soles, float(ground), thumbs, crown_m, twists
    )


def thumb_direction(
    character: Character, positions: Float[np.ndarray, "joint 3"], hand: int | None
) -> Float[np.ndarray, "3"] | None:
    """From the hand's joint to the farthest joint below it that is named a thumb; None without one."""
    skeleton = character.skeleton
    found = None
    below = {hand}
    for joint, parent in enumerate(skeleton.parents):
        if parent in below and hand is not None:
            below.add(joint)
            if "thumb" in skeleton.names[joint].lower():
                found = positions[joint] - positions[hand]
    return found


def role_above(roles: Mapping[str, int], parents: Sequence[int]) -> list[str | None]:
    """Of each joint the role that moves it: its own, or that of the nearest joint above that has one."""
    role_of = {joint: role for role, joint in roles.items()}
    above: list[str | None] = []
    for joint, parent in enumerate(parents):
        above.append(role_of.get(joint, above[parent] if parent >= 0 else None))
    return above


def weight_of(character: Character, parts: Collection[str]) -> Float[np.ndarray, " vertex"]:
    """Of each vertex the share by which some roles move it, 0 … 1."""
    above = role_above(character.roles, character.skeleton.parents)
    mine = np.array([role in parts for role in above])
    return (character.skin_weights * mine[character.skin_joints]).sum(1)


def moved_by(character: Character) -> list[str | None]:
    """Of each vertex the role that moves it most."""
    above = role_above(character.roles, character.skeleton.parents)
    strongest = character.skin_joints[np.arange(len(character.skin_joints)), character.skin_weights.argmax(1)]
    return [above[joint] for joint in strongest]


def measure_sole(
    character: Character, movers: Sequence[str | None], positions: Float[np.ndarray, "joint 3"], side: str
) -> Sole:
    """The sole under the vertices that the foot and the toes move; below the joints where none do."""
    foot, toes = character.roles[f"{side}Foot"], character.roles.get(f"{side}ToeBase")
    ankle = positions[foot]
    shoe = character.mesh.vertices[[role in (f"{side}Foot", f"{side}ToeBase") for role in movers]]
    if not len(shoe):
        shoe = np.array([ankle, ankle if toes is None else positions[toes]])
    low = shoe[shoe[:, 1] <= shoe[:, 1].min() + 0.25 * max(ankle[1] - shoe[:, 1].min(), 1e-6)]
    y, (back, front) = low[:, 1].min(), (low[:, 2].min(), low[:, 2].max())
    fifth = 0.2 * (front - back)
    heel = np.array([low[low[:, 2] <= back + fifth, 0].mean(), y, min(back, ankle[2])])
    tip = np.array([low[low[:, 2] >= front - fifth, 0].mean(), y, max(front, ankle[2])])
    # Without a joint for the toes the foot is one piece, and rolls over its tip.
    ball = tip if toes is None else np.array([positions[toes, 0], y, positions[toes, 2]])
    return Sole(heel, ball, tip)


def rest_corrections(actor: Body, character: Body) -> dict[str, Float[np.ndarray, "3 3"]]:
    """ΔR of each role: what turns the character's rest pose into the actor's, where that is more than taste.

    Arms and legs must point alike; each correction is the turn that is left after the one above it, so that twist runs
    on along a limb. Hands go along with their forearm, and turn palms down where the rest pose shows them
    elsewhere (half of that turn is the forearm's). Feet keep their soles flat and only turn about the
    vertical; toes go along. Hips, spine, neck, head and shoulders keep the character's own posture.
    """
    corrections = {role: np.eye(3) for role in character.roles}
    for side in SIDES:
        for upper, lower in ALIGNED:
            start, end = side + upper, side + lower
            if start not in character.roles or end not in character.roles:
                continue
            above = corrections[side + ABOVE[upper]] if upper in ABOVE else np.eye(3)
            bone = above @ (character.at(end) - character.at(start))
            corrections[start] = turn_onto(bone, actor.at(end) - actor.at(start)) @ above
        if f"{side}Hand" in character.roles:
            forearm = corrections[f"{side}ForeArm"]
            axis = actor.at(f"{side}Hand") - actor.at(f"{side}ForeArm")
            twist = palm_twist(character, side, forearm, axis / np.linalg.norm(axis))
            corrections[f"{side}ForeArm"] = matrix_from_vector(0.5 * twist) @ forearm
            corrections[f"{side}Hand"] = matrix_from_vector(twist) @ forearm
        if side in character.soles and side in actor.soles:
            mine, theirs = (sole.tip - sole.heel for sole in (character.soles[side], actor.soles[side]))
            turn = np.arctan2(theirs[0], theirs[2]) - np.arctan2(mine[0], mine[2])
            corrections[f"{side}Foot"] = matrix_from_vector(np.array([0.0, turn, 0.0]))
            if f"{side}ToeBase" in character.roles:
                corrections[f"{side}ToeBase"] = corrections[f"{side}Foot"]
    return corrections


def turn_onto(bone: Float[np.ndarray, "3"], theirs: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    """What turns a bone onto another: in the front plane first, then by the smallest turn.

    Limbs are modelled raised or hanging in that plane: so they end with the same twist. A bone that points ahead has no
    direction there.
    """
    flat = np.hypot(bone[0], bone[1])
    if flat < MIN_FLAT_SHARE * np.linalg.norm(bone):
        return rotation_between(bone, theirs)
    angle = np.arctan2(theirs[1], theirs[0]) - np.arctan2(bone[1], bone[0])
    sideways = matrix_from_vector(np.array([0.0, 0.0, angle]))
    return rotation_between(sideways @ bone, theirs) @ sideways


def palm_twist(
    character: Body, side: str, correction: Float[np.ndarray, "3 3"], axis: Float[np.ndarray, "3"]
) -> Float[np.ndarray, "3"]:
    """The rotation vector about the arm that points the thumb ahead, as in the canonical T-pose; zero for small ones.

    Rigs differ: some stand with palms down, some with palms ahead. Smaller differences are the rig's own look.
    """
    thumb = correction @ character.thumbs[side] if side in character.thumbs else np.zeros(3)
    thumb = thumb - (thumb @ axis) * axis
    if np.linalg.norm(thumb) < 1e-6:
        return np.zeros(3)
    ahead = np.array([0.0, 0.0, 1.0]) - axis[2] * axis
    angle = np.arctan2(np.cross(thumb, ahead) @ axis, thumb @ ahead)
    return angle * axis if abs(angle) > MIN_PALM_TWIST else np.zeros(3)
