"""What the subject of a ray-cast clip does: joint angles as smooth functions of time."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["ACTIONS", "Angle", "Arm", "BodyAngles", "Leg", "pose"]

Angle = Tensor | float
Limb = TypeVar("Limb", "Arm", "Leg")


@dataclass(frozen=True)
class Arm:
    """Angles of an arm in radians, from hanging."""

    forward: Angle = 0.05
    out: Angle = 0.16
    """Away from the body."""
    bend: Angle = 0.25
    """Of the elbow."""
    bend_forward: Angle = 1.0
    """1: the elbow bends forward; 0: it bends outwards, as out is counted."""


@dataclass(frozen=True)
class Leg:
    """Angles of a leg in radians, from standing."""

    forward: Angle = 0.03
    out: Angle = 0.05
    bend: Angle = 0.06
    """Of the knee."""


@dataclass(frozen=True)
class BodyAngles:
    """A body's angles in radians, over time."""

    arms: dict[str, Arm]
    """"left" and "right"."""
    legs: dict[str, Leg]
    lean: Angle = 0.03
    """Of the spine, forward."""
    sway: Angle = 0.0
    """Of the spine, to the body's left."""
    twist: Angle = 0.0
    """Of the shoulders against the hips, to the left."""
    nod: Angle = 0.0
    """Of the head: positive looks up."""
    turn: Angle = 0.0
    """Of the whole body, about the vertical."""
    lift: Angle = 0.0
    """Of the feet over the ground, in shares of the body's height."""


Wave = Float[Tensor, "batch frame"]


def _both(arm: Arm) -> dict[str, Arm]:
    return {"left": arm, "right": arm}


def _stand(p: Wave, k: Wave) -> BodyAngles:
    breath = 0.03 * k * p.sin()
    sway, look = 0.04 * p.sin(), 0.15 * p.sin()
    return BodyAngles(_both(Arm(0.05 + breath)), {"left": Leg(), "right": Leg()}, 0.02 + breath, sway, look)


def _walk(p: Wave, k: Wave) -> BodyAngles:
    swing = 0.48 * k * p.sin()
    lifted = [0.12 + 0.75 * torch.relu((p + shift).cos()) for shift in (0.0, torch.pi)]
    return BodyAngles(
        {"left": Arm(-0.9 * swing, 0.12, 0.35), "right": Arm(0.9 * swing, 0.12, 0.35)},
        {"left": Leg(swing, 0.02, lifted[0]), "right": Leg(-swing, 0.02, lifted[1])},
        0.06, 0.0, -0.15 * p.sin(),
    )  # fmt: skip


def _run(p: Wave, k: Wave) -> BodyAngles:
    left, right = 0.5 + 0.5 * p.sin(), 0.5 - 0.5 * p.sin()
    swing = 0.9 * k * p.sin()
    return BodyAngles(
        {"left": Arm(-swing, 0.2, 1.5), "right": Arm(swing, 0.2, 1.5)},
        {"left": Leg(0.1 + 1.05 * left * k, 0.03, 0.15 + 1.5 * left), "right": Leg(
            0.1 + 1.05 * right * k, 0.03, 0.15 + 1.5 * right)},
        0.16, 0.0, -0.2 * p.sin(), lift=0.025 * (p * 2).cos().clamp(min=0.0),
    )  # fmt: skip


def _wave(p: Wave, k: Wave) -> BodyAngles:
    hand = 0.75 + 0.55 * k * (2 * p).sin()
    legs = {"left": Leg(), "right": Leg()}
    return BodyAngles(
        {"left": Arm(), "right": Arm(0.25, 1.95, hand, 0.0)}, legs, 0.02, -0.06 + 0.03 * p.sin(), nod=0.05 * p.sin()
    )


def _dance(p: Wave, k: Wave) -> BodyAngles:
    up, down = 1.75 + 0.75 * k * p.sin(), 1.75 - 0.75 * k * p.sin()
    step = 0.28 * k * p.sin()
    return BodyAngles(
        {"left": Arm(0.4, up, 0.6, 0.3), "right": Arm(0.4, down, 0.6, 0.3)},
        {"left": Leg(0.25 + step, 0.16, 0.45 + 1.2 * step.clamp(min=0)),
         "right": Leg(0.25 - step, 0.16, 0.45 + 1.2 * (-step).clamp(min=0))},
        0.05, 0.26 * k * p.sin(), 0.45 * p.cos(), turn=0.45 * p.cos(),
    )  # fmt: skip


def _jump(p: Wave, k: Wave) -> BodyAngles:
    crouch = (0.5 - 0.5 * p.cos()) ** 2 * (1 - torch.relu(-p.sin()))
    flight = torch.relu(-p.sin())
    knee = Leg(0.6 * crouch, 0.08, 1.2 * crouch)
    return BodyAngles(
        _both(Arm(-0.5 * crouch + 0.2, 0.25 + 2.0 * flight, 0.2)), {"left": knee, "right": knee}, 0.4 * crouch,
        lift=0.17 * k * flight,
    )  # fmt: skip


def _turn(p: Wave, k: Wave) -> BodyAngles:
    lifted = [0.08 + 0.35 * torch.relu((2 * p + shift).sin()) for shift in (0.0, torch.pi)]
    return BodyAngles(
        _both(Arm(0.1, 0.35, 0.3)),
        {"left": Leg(0.4 * lifted[0], 0.05, lifted[0]), "right": Leg(0.4 * lifted[1], 0.05, lifted[1])},
        turn=p - p[:, :1],
    )


def _crouch(p: Wave, k: Wave) -> BodyAngles:
    down = 0.5 - 0.5 * p.cos()
    leg = Leg(1.55 * down * k.clamp(max=1.0), 0.12, 0.05 + 2.0 * down * k.clamp(max=1.0))
    return BodyAngles(
        _both(Arm(0.1 + 1.0 * down, 0.15, 0.3)), {"left": leg, "right": leg}, 0.03 + 0.5 * down, nod=0.5 * down
    )


def _bow(p: Wave, k: Wave) -> BodyAngles:
    down = 0.5 - 0.5 * p.cos()
    return BodyAngles(_both(Arm(0.1 + 0.5 * down, 0.12, 0.15)), {"left": Leg(), "right": Leg()}, 0.03 + 1.15 * k * down)


def _stretch(p: Wave, k: Wave) -> BodyAngles:
    up = 0.5 - 0.5 * p.cos()
    return BodyAngles(
        _both(Arm(0.1, 0.15 + 2.6 * up * k.clamp(max=1.05), 0.15, 0.0)), {"left": Leg(), "right": Leg()}, 0.0
    )


ACTIONS: dict[str, Callable[[Wave, Wave], BodyAngles]] = {
    "stand": _stand, "walk": _walk, "run": _run, "wave": _wave, "dance": _dance, "jump": _jump, "turn": _turn,
    "crouch": _crouch, "bow": _bow, "stretch": _stretch,
}  # fmt: skip
"""By name; each takes the phase in radians and its vigour, over time."""


def pose(
    action: Int[Tensor, " batch"],
    cycles: Float[Tensor, " batch"],
    phase: Float[Tensor, " batch"],
    vigour: Float[Tensor, " batch"],
    share: Float[Tensor, "batch frame"],
) -> BodyAngles:
    """Each clip's own action at shares 0 … 1 of the clip's time; `phase` 0 … 1 is where in its cycle it starts."""
    p = 2 * torch.pi * (cycles[:, None] * share + phase[:, None])
    k = vigour[:, None].expand_as(p)
    poses = [act(p, k) for act in ACTIONS.values()]
    weight = torch.nn.functional.one_hot(action, len(poses)).T[:, :, None].to(p.dtype)

    def chosen(angles: list[Angle]) -> Tensor:
        return sum(w * angle for w, angle in zip(weight, angles, strict=True)) + torch.zeros_like(p)

    def limbs(name: str, kind: type[Limb]) -> dict[str, Limb]:
        return {
            side: kind(*(chosen([getattr(getattr(q, name)[side], f.name) for q in poses]) for f in fields(kind)))
            for side in ("left", "right")
        }

    rest = [f.name for f in fields(BodyAngles) if f.name not in ("arms", "legs")]
    return BodyAngles(
        limbs("arms", Arm), limbs("legs", Leg), **{name: chosen([getattr(q, name) for q in poses]) for name in rest}
    )
