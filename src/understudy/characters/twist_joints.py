"""Twist joints for characters that we make: along upper arms and forearms, as leaves beside the joints of the body.

They leave the body's joints as they are, and export as they stand: game engines and Blender skin linearly, as we do.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from understudy.core.character import Character
from understudy.core.motion import Skeleton
from understudy.geometry.kinematics import rest_pose
from understudy.geometry.rigid import invert
from understudy.geometry.skinning import strongest_influences

__all__ = ["with_twist_joints"]

BONES: tuple[tuple[str, str, tuple[float, ...], bool], ...] = (
    ("Arm", "ForeArm", (0.0, 0.5), True),
    ("ForeArm", "Hand", (0.0, 1 / 3, 2 / 3, 1.0), False),
)
"""A bone's two ends, where along it twist joints stand, and whether the bone's own joint twists as its far end does.

Neighbours differ by half of the upper arm's twist (up to 90° in use) and by a third of the forearm's (up to 150°): a
limb keeps 0.9 of its radius.
"""


def with_twist_joints(character: Character) -> Character:
    """The character with joints that spread the twist of its arms, and its skin on them; needs arms and hands."""
    skeleton, roles = character.skeleton, character.roles
    rest = rest_pose(skeleton.parents, skeleton.T_parent_joint)
    names, parents, local = list(skeleton.names), list(skeleton.parents), list(skeleton.T_parent_joint)
    weights = dense_weights(character)
    for side in ("Left", "Right"):
        for bone, end, shares, ends_in_itself in BONES:
            start, last = roles.get(side + bone), roles.get(side + end)
            if start is None or last is None or not weights[:, start].any():
                continue
            along = rest[last, :3, 3] - rest[start, :3, 3]
            share = (character.mesh.vertices - rest[start, :3, 3]) @ along / max(along @ along, 1e-12)
            carried, moved = weights[:, start].copy(), np.arange(len(names), len(names) + len(shares))
            for number, place in enumerate(shares, 1):
                T = np.eye(4)
                T[:3, 3] = place * (rest[start, :3, :3].T @ along)
                names.append(f"{skeleton.names[start]}Twist{number}")
                parents.append(start)
                local.append(T)
            knots = (*shares, 1.0) if ends_in_itself else shares
            movers = [*moved, start] if ends_in_itself else list(moved)
            weights = np.pad(weights, ((0, 0), (0, len(shares))))
            weights[:, start] = 0.0
            for mover, hat in zip(movers, np.eye(len(knots)), strict=True):
                weights[:, mover] += carried * np.interp(share, knots, hat)
    skin_joints, skin_weights = strongest_influences(weights)
    longer = Skeleton(tuple(names), tuple(parents), np.array(local))
    return replace(
        character,
        skeleton=longer,
        T_joint_mesh=np.concatenate(
            [character.T_joint_mesh, invert(rest_pose(longer.parents, longer.T_parent_joint))[len(skeleton) :]]
        ),
        skin_joints=skin_joints,
        skin_weights=skin_weights,
    )


def dense_weights(character: Character) -> Float[np.ndarray, "vertex joint"]:
    """How much each joint moves each vertex."""
    weights = np.zeros((len(character.skin_joints), len(character.skeleton)))
    rows = np.arange(len(weights))[:, None]
    np.add.at(weights, (rows, character.skin_joints), character.skin_weights)
    return weights
