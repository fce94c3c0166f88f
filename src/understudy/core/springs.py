"""Loose parts that swing after the motion: chains of bones on springs, and what they cannot pass through.

Source of the model and its units: VRMC_springBone 1.0 (VRM Consortium), which files keep it in.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from understudy.geometry.vectors import Triple, triple
from understudy.runtime.checks import check_finite, check_shape

__all__ = ["Collider", "SpringBone", "SpringChain"]


@dataclass(frozen=True)
class Collider:
    """A capsule that follows a joint and keeps bones out; a sphere where both of its ends are one place."""

    joint: int
    start: Triple
    """In the joint's frame, metres."""
    end: Triple
    radius_m: float

    def __post_init__(self) -> None:
        check_point("start", self.start)
        check_point("end", self.end)
        if not 0 <= self.radius_m < np.inf:
            raise ValueError(f"a collider's radius is {self.radius_m:g} m")


@dataclass(frozen=True)
class SpringBone:
    """A joint that turns so that its bone swings; the bone's length never changes."""

    joint: int
    tail: Triple
    """Where the bone ends at rest, in the joint's frame, metres."""
    stiffness: float = 1.0
    """How strongly it is drawn back to its place at rest: 60 m/s² for each unit."""
    drag: float = 0.5
    """The share of its velocity that is lost in 1/60 s."""
    gravity: float = 0.0
    """How strongly it is drawn along `gravity_direction`: 60 m/s² for each unit."""
    gravity_direction: Triple = (0.0, -1.0, 0.0)
    """Of unit length, in the world."""
    radius_m: float = 0.0
    """How far its tail stays away from colliders."""

    def __post_init__(self) -> None:
        check_point("tail", self.tail)
        check_point("gravity_direction", self.gravity_direction)
        for name, value in (("stiffness", self.stiffness), ("gravity", self.gravity), ("radius_m", self.radius_m)):
            if not 0 <= value < np.inf:
                raise ValueError(f"the {name} of a spring bone is {value:g}; expected 0 or more")
        if not 0 <= self.drag <= 1:
            raise ValueError(f"the drag of a spring bone is {self.drag:g}; expected 0 to 1")


@dataclass(frozen=True)
class SpringChain:
    """Bones that swing together: a lock of hair, one fold of a skirt."""

    name: str
    bones: tuple[SpringBone, ...]
    """Parents before children."""
    colliders: tuple[Collider, ...] = ()
    centre: int | None = None
    """A joint whose own motion moves no bone: only motion relative to it does; None: the world's."""
    balanced: bool = False
    """Whether at rest it hangs in balance: gravity is in its shape already, as in a picture of someone who stands.
    Otherwise it sags from its rest pose as far as gravity draws it."""

    @property
    def joints(self) -> tuple[int, ...]:
        """All joints that it names."""
        centre = () if self.centre is None else (self.centre,)
        return (*(bone.joint for bone in self.bones), *(collider.joint for collider in self.colliders), *centre)

    def resized(self, scale: float, R: Float[np.ndarray, "3 3"] | None = None) -> "SpringChain":
        """The chain of a character that is scaled, and turned in the world by R; joints' own frames turn with it."""
        turn = np.eye(3) if R is None else R

        def sized(place: Triple) -> Triple:
            return triple(scale * np.array(place))

        bones = [
            replace(
                bone,
                tail=sized(bone.tail),
                gravity_direction=triple(turn @ np.array(bone.gravity_direction)),
                radius_m=scale * bone.radius_m,
            )
            for bone in self.bones
        ]
        colliders = [
            Collider(one.joint, sized(one.start), sized(one.end), scale * one.radius_m) for one in self.colliders
        ]
        return replace(self, bones=tuple(bones), colliders=tuple(colliders))


def check_point(name: str, place: Triple) -> None:
    """Raise ValueError unless a place has three finite coordinates."""
    check_shape(name, np.array(place), 3)
    check_finite(name, np.array(place))
