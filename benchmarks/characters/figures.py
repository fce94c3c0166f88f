"""Figures whose shape is known: our cast, dressed, and rigs that people made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np

from understudy.body.model import BodyModel, ShapedBody
from understudy.characters.rig.character import character_from_rig
from understudy.core.character import Character, Mesh
from understudy.core.motion import BODY_JOINTS
from understudy.synthetic.people.actors import ACTORS, ActorName, actor_outfit, shape_for_build
from understudy.synthetic.people.people import Colour, Outfit, dressed
from understudy.synthetic.people.worn import Surface, long_hair_surface, sheet, skirt_surface, worn

__all__ = ["HELD_OUT", "HUMAN_RIGS", "KNOWN", "LOOSE", "RIGS", "KnownFigure", "load_figure"]

RIGS = {
    "knight": "knight.glb", "mage": "mage.glb", "robot_expressive": "robot_expressive.glb",
    "cryptovoxels": "cryptovoxels.vrm", "xbot": "xbot.glb", "soldier": "soldier.glb",
    "cesium_man": "cesium_man.glb", "godotman": "godotman.glb",
}  # fmt: skip
HUMAN_RIGS = ("xbot", "soldier", "cesium_man", "godotman")
"""Rigs of human proportions: the profile of our body model is compared with theirs."""
KNOWN = (*ACTORS, *RIGS)
HELD_OUT = frozenset({
    "girl", "small_woman", "old_man", "heavy_man", "thin_tall_man", "mage", "cryptovoxels", "soldier", "cesium_man",
})  # fmt: skip
"""Figures that nobody looks at while methods are tuned; the other ones are for that."""
LOOSE = frozenset({"hair", "long hair", "skirt", "cape", "bag", "scarf"})
"""Materials of the cast that must follow head, trunk or hips, never an arm or a leg."""
_BLACK: Colour = (0.05, 0.05, 0.05)


@dataclass(frozen=True)
class KnownFigure:
    """A character in its rest pose, as it truly is."""

    name: str
    kind: Literal["cast", "rig"]
    character: Character
    body: Character | None
    """The bare body below the clothes, or the usual one of this height for rigs that are human; None: not human."""


def load_figure(name: str, data: Path) -> KnownFigure:
    """One of KNOWN.

    Raises:
        UnderstudyError: a rig cannot be read.
    """
    if name in RIGS:
        rig = character_from_rig(data / "rigs" / RIGS[name])
        model = BodyModel.load()
        human = name in HUMAN_RIGS
        body = model.character(model.shape_for_height(min(max(rig.height_m, 1.5), 1.95))) if human else None
        return KnownFigure(name, "rig", replace(rig, mesh=matt(rig.mesh)), body)
    return cast_member(cast("ActorName", name))


def cast_member(name: ActorName) -> KnownFigure:
    """A member of our cast in clothes of its own, some with a skirt, long hair, a cape or a bag."""
    model, seed = BodyModel.load(), list(ACTORS).index(name)
    shape = shape_for_build(model, ACTORS[name])
    outfit = actor_outfit(name, np.random.default_rng(seed))
    if name == "man":  # black cloth, which haze lifts
        outfit = replace(outfit, top=_BLACK, trousers=_BLACK, shoes=_BLACK, style="jacket", belt=None)
    if any(label == "skirt" for label, *_ in WORN.get(name, ())):  # tucked in
        outfit = replace(outfit, style="plain", belt=None)
    if name == "teenager":
        outfit = replace(outfit, scarf=(0.75, 0.30, 0.20))
    person, body = dressed(model, shape, outfit, seed), model.shaped(shape)
    hung = [
        worn(surface(body), body, joint, person.skeleton, colour(outfit), label)
        for label, joint, surface, colour in WORN.get(name, ())
    ]
    merged = together(person, hung)
    return KnownFigure(name, "cast", replace(merged, mesh=matt(merged.mesh)), model.character(shape))


def together(person: Character, hung: Sequence[Character]) -> Character:
    """A person and what hangs on the same skeleton as one character."""
    parts = (person, *hung)
    starts = np.cumsum([0, *(len(part.mesh.vertices) for part in parts)])
    firsts = np.cumsum([0, *(len(part.mesh.materials) for part in parts)])
    influences = max(part.skin_joints.shape[1] for part in parts)

    def padded(values: np.ndarray) -> np.ndarray:
        return np.pad(values, ((0, 0), (0, influences - values.shape[1])))

    mesh = Mesh(
        np.concatenate([part.mesh.vertices for part in parts]),
        np.concatenate([part.mesh.faces + start for part, start in zip(parts, starts[:-1], strict=True)]),
        np.concatenate([part.mesh.normals for part in parts]),
        np.concatenate([part.mesh.uv for part in parts]),
        np.concatenate([part.mesh.face_material + first for part, first in zip(parts, firsts[:-1], strict=True)]),
        tuple(material for part in parts for material in part.mesh.materials),
    )
    return replace(
        person,
        mesh=mesh,
        skin_joints=np.concatenate([padded(part.skin_joints) for part in parts]),
        skin_weights=np.concatenate([padded(part.skin_weights) for part in parts]),
    )


def matt(mesh: Mesh) -> Mesh:
    """The mesh without metal: what a picture shows is then colour and light alone."""
    return replace(mesh, materials=tuple(replace(m, metallic=0.0, roughness=1.0) for m in mesh.materials))


def cape_surface(body: ShapedBody) -> Surface:
    """A cape from the shoulders down the back to the knees."""
    shoulder, knee = body.joints[BODY_JOINTS.index("LeftArm")], body.joints[BODY_JOINTS.index("LeftLeg")]
    back = body.vertices[np.abs(body.vertices[:, 0]) < 0.7 * shoulder[0], 2].min() - 0.03
    down, across = np.linspace(0, 1, 24)[:, None], np.linspace(-1, 1, 33)[None]
    x = shoulder[0] * (0.75 + 0.75 * down) * across
    y = np.broadcast_to(shoulder[1] + 0.04 - down * (shoulder[1] - knee[1]), x.shape)
    z = back - 0.06 * down + 0.02 * np.sin(9 * across) * down + 0.03 * across**2
    return sheet(np.stack([x, y, z], -1))


def bag_surface(body: ShapedBody) -> Surface:
    """A bag beside the left hip."""
    hips = body.joints[BODY_JOINTS.index("Hips")]
    near = (np.abs(body.vertices[:, 1] - hips[1]) < 0.05) & (np.abs(body.vertices[:, 0]) < 0.35)
    beside = body.vertices[near, 0].max() + 0.045
    u, v = np.linspace(0, np.pi, 17)[:, None], np.linspace(0, 2 * np.pi, 33)[None]

    def corner(value: np.ndarray) -> np.ndarray:
        return np.sign(value) * np.abs(value) ** 0.4  # between a ball and a box

    x, y, z = corner(np.sin(u)) * corner(np.cos(v)), corner(np.cos(u)), corner(np.sin(u)) * corner(np.sin(v))
    y = np.broadcast_to(y, x.shape)
    return sheet(np.stack([beside + 0.06 * x, hips[1] - 0.06 + 0.13 * y, hips[2] + 0.12 * z], -1)[:, ::-1])


Worn = tuple[str, str, Callable[[ShapedBody], Surface], Callable[[Outfit], Colour]]
WORN: dict[ActorName, tuple[Worn, ...]] = {
    "girl": (
        ("long hair", "Head", lambda body: long_hair_surface(body, 0.16), lambda outfit: outfit.hair),
        ("skirt", "Hips", lambda body: skirt_surface(body, 0.38), lambda _: (0.75, 0.30, 0.40)),
    ),
    "small_woman": (("skirt", "Hips", lambda body: skirt_surface(body, 0.75), lambda _: (0.25, 0.20, 0.45)),),
    "woman": (
        ("long hair", "Head", lambda body: long_hair_surface(body, 0.22), lambda outfit: outfit.hair),
        ("skirt", "Hips", lambda body: skirt_surface(body, 0.55), lambda _: (0.55, 0.16, 0.18)),
    ),
    "heavy_woman": (("bag", "Hips", bag_surface, lambda _: (0.60, 0.42, 0.22)),),
    "old_man": (("bag", "Hips", bag_surface, lambda _: (0.30, 0.38, 0.24)),),
    "athlete": (("cape", "Spine2", cape_surface, lambda _: (0.62, 0.10, 0.12)),),
    "thin_tall_man": (("cape", "Spine2", cape_surface, lambda _: (0.16, 0.22, 0.45)),),
}
"""What hangs on whom: its name, the joint that carries it, its surface, its colour."""
