"""Which way a rig stands and looks: up by legs and shoulders, ahead by its sides, feet, knees, elbows and face."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from understudy.characters.rig.names import is_below, plain_words
from understudy.core.character import Character
from understudy.runtime.errors import CharacterError

__all__ = ["nearest_axis", "upright_rotation"]

SIDES = ("Left", "Right")
OTHER_SIDE = {"Left": "Right", "Right": "Left"}
FACE = {"eye", "eyes", "eyeball", "jaw", "chin", "nose", "mouth", "teeth", "tongue"}
BACKWARDS = -0.25
"""From what sum of the signs of the front a body counts as turned round; slight ones say nothing."""


def upright_rotation(
    character: Character, rest: Float[np.ndarray, "joint 4 4"]
) -> tuple[Float[np.ndarray, "3 3"], Character]:
    """The turn that brings up to +Y and ahead to +Z; left and right roles change places if the front says so.

    Turns are whole quarters, because a rig that leans or looks aside a little does so on purpose; a facing that is
    not near a quarter is brought to +Z as it is.

    Raises:
        CharacterError: left and right are at one place.
    """
    roles, at = character.roles, rest[:, :3, 3]
    top = at[[roles[f"{side}Arm"] for side in SIDES]].mean(0)
    low = at[[roles[f"{side}Leg"] for side in SIDES]].mean(0)
    up = nearest_axis(top - low)
    left = at[roles["LeftUpLeg"]] - at[roles["RightUpLeg"]] + at[roles["LeftArm"]] - at[roles["RightArm"]]
    ahead = np.cross(left - up * (left @ up), up)
    length = np.linalg.norm(ahead)
    if length < 1e-9:
        raise CharacterError(f"{character.name}: its left and right joints lie on each other: is the rig flat?")
    ahead = ahead / length
    height = float(np.linalg.norm(top - low))
    # How far each sign of the front reaches ahead, by the size that it has on people.
    signs = sum(weight * np.tanh(way @ ahead / (size * height)) for way, size, weight in front(character, at, up))
    if signs < BACKWARDS:
        ahead = -ahead
        swapped = {}
        for role, joint in roles.items():
            side = next((side for side in SIDES if role.startswith(side)), None)
            swapped[role if side is None else OTHER_SIDE[side] + role[len(side) :]] = joint
        character = replace(character, roles=swapped)
    quarter = nearest_axis(ahead)
    ahead = quarter if quarter @ ahead > np.cos(np.radians(20)) and abs(quarter @ up) < 0.5 else ahead
    return np.stack([np.cross(up, ahead), up, ahead]), character


def nearest_axis(direction: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """The coordinate axis, with its sign, nearest to a direction."""
    axis = np.zeros(3)
    largest = int(np.abs(direction).argmax())
    axis[largest] = 1.0 if direction[largest] >= 0 else -1.0
    return axis


def front(
    character: Character, at: Float[np.ndarray, "joint 3"], up: Float[np.ndarray, "3"]
) -> Iterator[tuple[Float[np.ndarray, "3"], float, float]]:
    """What points ahead on a body: a way, its usual length in distances from knees to shoulders, and its weight.

    Toes lie ahead of ankles, eyes and jaw ahead of the head's joint, thumbs ahead of hands that rest beside the body;
    knees bend ahead and elbows back, if at all.
    """
    roles = character.roles
    yield toe_direction(character, at), 0.05, 1.0
    head = roles.get("Head")
    words = [set(plain_words(name)[1]) for name in character.skeleton.names]
    parents = character.skeleton.parents
    face = [
        joint for joint, own in enumerate(words) if own & FACE and head is not None and is_below(joint, head, parents)
    ]
    if face and head is not None:
        yield at[face].mean(0) - at[head], 0.05, 1.0
    for side in SIDES:
        hand = roles.get(f"{side}Hand")
        thumbs = [joint for joint, own in enumerate(words) if "thumb" in own and hand in (parents[joint], None)]
        if thumbs and hand is not None:
            yield at[thumbs[0]] - at[hand], 0.02, 0.25
        for parts, sign, weight in ((("UpLeg", "Leg", "Foot"), 1.0, 0.25), (("Arm", "ForeArm", "Hand"), -1.0, 0.15)):
            if all(side + part in roles for part in parts):
                first, bent, last = (at[roles[side + part]] for part in parts)
                along = (last - first) / max(np.linalg.norm(last - first), 1e-12)
                way = bent - first - along * ((bent - first) @ along)
                yield sign * (way - up * (way @ up)), 0.02, weight


def toe_direction(character: Character, at: Float[np.ndarray, "joint 3"]) -> Float[np.ndarray, "3"]:
    """From the ankles to the toes: by joints, or by where the feet's vertices lie; zero when there are no feet."""
    total = np.zeros(3)
    for side in SIDES:
        foot, toe = character.roles.get(f"{side}Foot"), character.roles.get(f"{side}ToeBase")
        if foot is not None and toe is not None:
            total += 0.5 * (at[toe] - at[foot])
        elif foot is not None:
            weight = np.where(character.skin_joints == foot, character.skin_weights, 0.0).sum(1)
            if weight.sum() > 0:
                total += 0.5 * (weight @ character.mesh.vertices / weight.sum() - at[foot])
    return total
