"""Arms that would pass through a trunk or a head wider than the actor's are turned out at shoulder and elbow.

Trunk and head are stacks of ellipses around the spine, measured on the mesh; arms are points with a radius. As far as
the actor's own arms touch the actor's own body, the character's may too.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import gaussian_filter1d, median_filter

from understudy.core.character import Character
from understudy.geometry.meshes import face_areas
from understudy.geometry.rotations import matrix_from_vector, vector_from_matrix
from understudy.retarget.pose import CharacterPose
from understudy.retarget.rest import SIDES, Body, moved_by, role_above, weight_of

__all__ = ["HAND_SHARE", "Column", "Trunk", "arm_points", "clear_trunk", "interpolated", "measure_trunk"]

CARRIERS = ("Hips", "Spine", "Spine1", "Spine2", "Head")
ARMS = tuple(f"{side}{part}" for side in SIDES for part in ("Arm", "ForeArm", "Hand"))
NO_WEIGHT = 1e-6
"""What arms move by no more than so has one shape in all rest poses; what they move by all but so has one around their
bones. Arms that turn by small differences of that shape may pass a body on its other side, so it is to be exact."""
CAPPED = {"low": ("Hips", "Head"), "high": ("Head",)}
"""Columns that end where the body ends: there is a way out past the end."""
MAX_SLOPE = 4.0
"""By how much a radius grows with height at most, as at a head's crown: steeper is flat already."""
MIN_CHEST_SHARE = 0.75
"""The chest is as wide as so much of the distance between the shoulder joints at least, however thick the arms are."""
MAX_SWINGING = 0.25
"""What swings by more than this share of its weight is no part of trunk or head."""
SLICES, SMOOTH_SLICES = 16, 5
"""Radii are medians over so many slices: a lock or a pocket that stands out at one height is no trunk."""
SURFACE_POINTS = 20_000
WIDTH_PERCENTILE = 90.0
ENCLOSED_PERCENTILE = 95.0
"""Of a slice's points that its ellipse is to enclose."""
ARM_PERCENTILE = 60.0
UPPER_SHARES = (0.6, 0.8)
LOWER_SHARES = (0.0, 0.33, 0.67, 1.0)
HAND_SHARE = 0.35
"""The hand's middle is beyond the wrist by this share of the forearm, where it has no joints to say so."""
TIP_SHARE = 0.65
"""The same of the fingers' ends."""
ROUNDS, ELBOW_ROUNDS = 8, 12
"""How often a shoulder is turned on alone, and then elbow and shoulder in turn."""
MAX_TURNED = np.radians([75.0, 45.0])
"""At most, at shoulder and elbow."""
SMOOTH_OVER_S = 0.08
YIELDING = 0.5
"""Of what an arm is thicker than the actor's, in the character's size: the share by which sleeves and fur give way."""


@dataclass(frozen=True)
class Column:
    """A stack of ellipses that one joint carries, in the rest pose."""

    role: str
    heights: Float[np.ndarray, " slice"]
    centres: Float[np.ndarray, "slice 2"]
    """x and z."""
    radii: Float[np.ndarray, "slice 2"]
    """Half width and half depth."""

    @property
    def slopes(self) -> Float[np.ndarray, "slice 2"]:
        """By how much the radii grow with height."""
        return np.clip(np.gradient(self.radii, self.heights, axis=0), -MAX_SLOPE, MAX_SLOPE)


@dataclass(frozen=True)
class Trunk:
    """What arms must not pass through, and how thick the arms are."""

    columns: tuple[Column, ...]
    arm_radius_m: dict[str, float]


def clear_trunk(
    pose: CharacterPose, mine: Trunk, actor_pose: CharacterPose, theirs: Trunk, frame_rate: float
) -> CharacterPose:
    """The pose with arms turned out at shoulder and elbow where they are deeper in the body than the actor's."""
    size = pose.body.leg_m / actor_pose.body.leg_m
    mine = replace(mine, arm_radius_m={side: yielding(mine, theirs, side, size) for side in SIDES})
    turns = {}
    for side in SIDES:
        if any(f"{side}{part}" not in pose.body.roles for part in ("Arm", "ForeArm")):
            continue
        allowed = size * depth_of(actor_pose, theirs, side, arm_points(actor_pose, side))[0]
        upper, lower = clearing_turns(pose, mine, side, allowed)
        if not upper.any():
            continue
        upper, lower = (
            matrix_from_vector(gaussian_filter1d(turn, SMOOTH_OVER_S * frame_rate, axis=0, mode="nearest"))
            for turn in (upper, lower)
        )
        turns[f"{side}Arm"] = upper @ pose.turns[f"{side}Arm"]
        for role in (f"{side}ForeArm", f"{side}Hand"):
            if role in pose.turns:
                turns[role] = lower @ upper @ pose.turns[role]
    return pose.changed(turns, pose.at("Hips")) if turns else pose


def yielding(mine: Trunk, theirs: Trunk, side: str, size: float) -> float:
    """The arm's radius that is kept clear: wide sleeves and thick fur give way by half of what they are wider."""
    own, usual = mine.arm_radius_m[side], size * theirs.arm_radius_m[side]
    return own - YIELDING * max(own - usual, 0.0)


def clearing_turns(
    pose: CharacterPose, trunk: Trunk, side: str, allowed_m: Float[np.ndarray, "time point"]
) -> tuple[Float[np.ndarray, "time 3"], Float[np.ndarray, "time 3"]]:
    """The small turns about shoulder and elbow, as rotation vectors, that bring an arm's points out of the body.

    The elbow turns only where the shoulder alone does not do.
    """
    shoulder, elbow = pose.at(f"{side}Arm"), pose.at(f"{side}ForeArm")
    reach = arm_points(pose, side) - shoulder[:, None]
    first = len(UPPER_SHARES)
    turned = np.tile(np.eye(3), (2, len(reach), 1, 1))
    for number in range(ROUNDS + ELBOW_ROUNDS):
        arm = np.einsum("tij,tpj->tpi", turned[0], reach)
        start = np.einsum("tij,tj->ti", turned[0], elbow - shoulder)
        arm[:, first:] = start[:, None] + np.einsum("tij,tpj->tpi", turned[1], arm[:, first:] - start[:, None])
        depth, outwards = depth_of(pose, trunk, side, arm + shoulder[:, None])
        depth = np.maximum(depth - allowed_m, 0.0)
        if not depth.any():
            break
        bends = int(number >= ROUNDS and number % 2 == 1)
        if bends:
            arm, depth, outwards = arm[:, first:] - start[:, None], depth[:, first:], outwards[:, first:]
        # The deepest points count most: turning them out takes the others along.
        weight = depth**2
        lever = np.cross(arm, depth[..., None] * outwards) / np.maximum((arm**2).sum(-1), 1e-9)[..., None]
        step = (weight[..., None] * lever).sum(1) / np.maximum(weight.sum(1), 1e-12)[:, None]
        turned[bends] = limited(matrix_from_vector(step) @ turned[bends], MAX_TURNED[bends])
    upper, lower = (vector_from_matrix(R) for R in turned)
    return upper, lower


def limited(R: Float[np.ndarray, "time 3 3"], max_angle: float) -> Float[np.ndarray, "time 3 3"]:
    """The same turns, by so much of an angle at most."""
    turn = vector_from_matrix(R)
    angle = np.linalg.norm(turn, axis=1, keepdims=True)
    return matrix_from_vector(turn * np.minimum(1.0, max_angle / np.maximum(angle, 1e-12)))


def arm_points(pose: CharacterPose, side: str) -> Float[np.ndarray, "time point 3"]:
    """Places along an arm, from the middle of the upper arm to the fingers' ends, and last the hand's middle."""
    shoulder, elbow = pose.at(f"{side}Arm"), pose.at(f"{side}ForeArm")
    if f"{side}Hand" in pose.body.roles:
        wrist = pose.at(f"{side}Hand")
    else:
        wrist = elbow + (elbow - shoulder)
    points = [shoulder + share * (elbow - shoulder) for share in UPPER_SHARES]
    points += [elbow + share * (wrist - elbow) for share in LOWER_SHARES]
    points += [wrist + share * (wrist - elbow) for share in (TIP_SHARE, HAND_SHARE)]
    return np.stack(points, 1)


def depth_of(
    pose: CharacterPose, trunk: Trunk, side: str, points: Float[np.ndarray, "time point 3"]
) -> tuple[Float[np.ndarray, "time point"], Float[np.ndarray, "time point 3"]]:
    """How deep points of an arm are in the body, and which way is out (unit, in the world)."""
    depth = np.zeros(points.shape[:2])
    outwards = np.zeros(points.shape)
    radius = trunk.arm_radius_m[side]
    for column in trunk.columns:
        D, here = pose.turns[column.role], pose.at(column.role)
        q = np.einsum("tji,tpj->tpi", D, points - here[:, None]) + pose.body.at(column.role)
        y = q[..., 1]
        flat = q[..., [0, 2]] - interpolated(y, column.heights, column.centres)
        radii = interpolated(y, column.heights, column.radii) + radius
        slope = interpolated(y, column.heights, column.slopes)
        share = np.linalg.norm(flat / radii, axis=-1)
        # Straight out of the spine there is no way out: arms go to their own side.
        flat = np.where(share[..., None] > 1e-6, flat, np.array([1e-6 if side == "Left" else -1e-6, 0.0]))
        share = np.maximum(share, 1e-6)
        # To first order the distance is that of the ellipses' stack: below a round head, out is down.
        out_flat = flat / (radii**2 * share[..., None])
        out = np.stack([out_flat[..., 0], -(out_flat * flat / radii * slope).sum(-1), out_flat[..., 1]], -1)
        steep = np.linalg.norm(out, axis=-1)
        inside, out = np.minimum((1 - share) / steep, radii.min(-1)), out / steep[..., None]
        below, above = y - column.heights[0] + radius, column.heights[-1] - y + radius
        for end, ends, way in (("low", below, -1.0), ("high", above, 1.0)):
            if column.role in CAPPED[end]:
                out = np.where((ends < inside)[..., None], [0.0, way, 0.0], out)
                inside = np.minimum(inside, ends)
            else:  # soft, over an arm's radius
                inside = inside * np.clip(ends / radius, 0.0, 1.0)
        inside = np.maximum(inside, 0.0)
        deeper = inside > depth
        depth = np.where(deeper, inside, depth)
        outwards = np.where(deeper[..., None], np.einsum("tij,tpj->tpi", D, out), outwards)
    return depth, outwards


def interpolated(
    y: Float[np.ndarray, "time point"], heights: Float[np.ndarray, " slice"], values: Float[np.ndarray, "slice 2"]
) -> Float[np.ndarray, "time point 2"]:
    """Both columns of a table over height, linear between its rows."""
    return np.stack([np.interp(y, heights, values[:, axis]) for axis in range(2)], -1)


def measure_trunk(character: Character, body: Body) -> Trunk:
    """The ellipses of trunk and head, from the vertices that their joints move, and the arms' radii.

    The same body must have the same trunk whether it is modelled with raised or with hanging arms. So shapes come from
    what no arm moves; where arms move part of the chest, its width comes from the shoulder joints, and its depth from
    all of it, which arms that are raised sideways leave as it is.
    """
    part_of = {role: place for place, role in enumerate(CARRIERS)} | {"Neck": CARRIERS.index("Spine2")}
    part = np.array([part_of.get(role or "Hips", -1) for role in moved_by(character)])
    part = np.where(swinging_share(character) > MAX_SWINGING, -1, part)
    free = weight_of(character, ARMS) <= NO_WEIGHT
    points, point_part = surface_points(character, np.where(free, part, -1))
    radii = {side: arm_radius(character, body, side) for side in SIDES}
    columns = []
    carriers = [role for role in CARRIERS if role in body.roles]
    for role, above in zip(carriers, [*carriers[1:], None], strict=True):
        mine = points[point_part == CARRIERS.index(role)]
        if len(mine) < 3:
            continue
        low = mine[:, 1].min() if role in ("Hips", "Head") else body.at(role)[1]
        high = mine[:, 1].max() if above is None or above == "Head" else body.at(above)[1]
        column = measure_column(role, points[point_part >= 0], low, high, body.at(role)[2])
        if column is not None and role != "Head":
            own = part == CARRIERS.index(role)
            waist_m = float((columns[0] if columns else column).radii[-1, 0])
            column = with_chest(column, body, character.mesh.vertices[own, 2], free[own], waist_m, max(radii.values()))
        if column is not None:
            columns.append(column)
    return Trunk(tuple(columns), radii)


def swinging_share(character: Character) -> Float[np.ndarray, " vertex"]:
    """By which share each vertex hangs on springs of head and trunk, as long hair does, which arms may pass through.

    Springs of the hips carry skirts, beside which arms hang.
    """
    above = role_above(character.roles, character.skeleton.parents)
    swings = np.zeros(len(above))
    for chain in character.springs:
        for bone in chain.bones:
            swings[bone.joint] = above[bone.joint] != "Hips"
    return (character.skin_weights * swings[character.skin_joints]).sum(1)


def with_chest(
    column: Column,
    body: Body,
    z: Float[np.ndarray, " vertex"],
    free: Bool[np.ndarray, " vertex"],
    waist_m: float,
    arm_m: float,
) -> Column:
    """A part of the trunk with what arms move of it: as wide as there is room between hanging arms, and as deep as
    all of it; `z` of its vertices, and which of them no arm moves."""
    radii = column.radii.copy()
    depth = z - column.centres[0, 1]
    front = depth > 0
    if (front & free).any() and not free.all():
        deepest = [np.percentile(depth[some], WIDTH_PERCENTILE) for some in (front, front & free)]
        radii[:, 1] *= max(1.0, deepest[0] / max(deepest[1], 1e-3))
    shoulders = [body.at(f"{side}Arm") for side in SIDES if f"{side}Arm" in body.roles]
    if shoulders and "Spine" in body.roles:
        x, y = np.abs(np.array(shoulders)[:, 0] - column.centres[0, 0]).mean(), np.mean([p[1] for p in shoulders])
        above = [body.at(role)[1] for role in ("Neck", "Head") if role in body.roles]
        heights = [body.at("Spine")[1], y, max([*above[:1], y + 1e-6])]
        # An arm that hangs from its joint is beside the chest, not deep in it.
        beside = max(x - 0.5 * arm_m, MIN_CHEST_SHARE * x)
        width = np.interp(column.heights, heights, [waist_m, beside, 0.0], left=0.0)
        radii[:, 0] = np.maximum(radii[:, 0], width)
    return replace(column, radii=radii)


def surface_points(
    character: Character, part: Int[np.ndarray, " vertex"]
) -> tuple[Float[np.ndarray, "point 3"], Int[np.ndarray, " point"]]:
    """Points spread evenly over the faces that lie in parts, and the part of the nearest corner: meshes may have few,
    far vertices."""
    mesh = character.mesh
    faces = mesh.faces[(part[mesh.faces] >= 0).all(1)]
    area = face_areas(mesh.vertices, faces)
    if not area.sum() > 0:
        return mesh.vertices, part
    rng = np.random.default_rng(0)
    face = rng.choice(len(area), SURFACE_POINTS, p=area / area.sum())
    weights = rng.dirichlet(np.ones(3), SURFACE_POINTS)
    points = np.einsum("pc,pcx->px", weights, mesh.vertices[faces[face]])
    return points, part[faces[face, weights.argmax(1)]]


def measure_column(
    role: str, points: Float[np.ndarray, "point 3"], low: float, high: float, spine_z: float
) -> Column | None:
    """Ellipses around the points between two heights; None where there are too few."""
    heights = np.linspace(low, high, SLICES)
    half = 0.75 * max(heights[1] - heights[0], 1e-6)
    middle = float(np.median(points[:, 0]))
    rows = []
    for height in heights:
        near = points[np.abs(points[:, 1] - height) <= half]
        front = near[near[:, 2] >= spine_z - 1e-9]
        if len(front) < 3:
            continue
        # The back is left out of the widths, because capes and long hair hang there.
        depth = max(np.percentile(front[:, 2], WIDTH_PERCENTILE) - spine_z, 1e-3)
        sides = near[near[:, 2] >= spine_z - 0.5 * depth]
        width = np.percentile(np.abs(sides[:, 0] - middle), WIDTH_PERCENTILE)
        width = max(width, 1e-3)
        # As large as encloses what is not round as well, as boxes are and chests.
        outer = np.hypot((sides[:, 0] - middle) / width, np.maximum(sides[:, 2] - spine_z, 0.0) / depth)
        larger = max(1.0, np.percentile(outer, ENCLOSED_PERCENTILE))
        rows.append((height, middle, spine_z, larger * width, larger * depth))
    if len(rows) < 2:
        return None
    table = np.array(rows)
    return Column(role, table[:, 0], table[:, 1:3], median_filter(table[:, 3:5], (SMOOTH_SLICES, 1), mode="nearest"))


def arm_radius(character: Character, body: Body, side: str) -> float:
    """How thick the forearm is: the usual distance of its vertices from its bone."""
    elbow, hand = body.roles.get(f"{side}ForeArm"), body.roles.get(f"{side}Hand")
    if elbow is None or hand is None:
        return 0.03 * body.leg_m
    mine = np.array([role == f"{side}ForeArm" for role in moved_by(character)])
    skin = character.mesh.vertices[mine & (weight_of(character, ARMS) >= 1 - NO_WEIGHT)]
    if len(skin) < 3:
        return 0.03 * body.leg_m
    along = body.positions[hand] - body.positions[elbow]
    along = along / np.linalg.norm(along)
    away = skin - body.positions[elbow]
    return float(np.percentile(np.linalg.norm(away - np.outer(away @ along, along), axis=1), ARM_PERCENTILE))
