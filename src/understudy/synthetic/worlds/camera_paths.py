"""Camera moves for scene-decoupled clips, all computed in the start view's own camera frame.

Ranges: CineScene's data (pan and arc up to 75°, tilt and arc upwards to 45°, dolly, truck and pedestal by up to two
subject distances), cut where the camera would leave a room or run into the subject.
"""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from understudy.core.camera_moves import SCENE_MOVES
from understudy.synthetic.worlds.seeded_random import SeededRandom

__all__ = ["MOVES", "MoveMix", "SceneMoves", "sample_moves"]

MOVES = SCENE_MOVES
"""By number."""

STATIC, PAN, TILT, ARC, ARC_UP, DOLLY, TRUCK, PEDESTAL = range(len(MOVES))
MAX_TURN_RAD = 1.3089969
"""75°."""
MAX_TILT_RAD = 0.7853982
"""45°."""
MIN_SHARE = 0.2
"""The shortest move, as a share of the longest."""
NEAR_SUBJECT_M = 0.8
"""How near a dolly comes."""
FULL_SHARE = 0.3
"""How many moves go all the way."""


@dataclass(frozen=True)
class MoveMix:
    """Which moves are filmed, and how far they go."""

    weights: dict[str, float] = field(
        default_factory=lambda: {
            "static": 0.04, "pan": 0.28, "tilt": 0.08, "arc": 0.26, "arc_up": 0.06, "dolly": 0.11, "truck": 0.11,
            "pedestal": 0.06,
        }
    )  # fmt: skip
    """How often each of `MOVES` is chosen; those not named never are."""
    amount: float | None = None
    """Every move by exactly this much, to either side, in radians or metres, whatever the set; None: at random."""

    def __post_init__(self) -> None:
        unknown = sorted(set(self.weights) - set(MOVES))
        if unknown or not any(weight > 0 for weight in self.weights.values()):
            raise ValueError(f"moves are {', '.join(MOVES)}, one with a weight above 0; got {self.weights}")


@dataclass(frozen=True)
class SceneMoves:
    """The move of every clip."""

    kind: Int[Tensor, " batch"]
    """Numbers of `MOVES`."""
    amount: Float[Tensor, " batch"]
    """From start to end: radians or metres, signed."""
    ease: Float[Tensor, " batch"]
    """0: constant speed; 1: starts and ends at rest."""
    pivot_camera_m: Float[Tensor, "batch 3"]
    """What arcs turn around, in the start view's camera frame."""

    def mirrored(self) -> "SceneMoves":
        """Pans, arcs and trucks to the other side; the rest as it was."""
        sideways = (self.kind == PAN) | (self.kind == ARC) | (self.kind == TRUCK)
        return replace(self, amount=torch.where(sideways, -self.amount, self.amount))

    def T_start_camera(self, share: Float[Tensor, "batch frame"]) -> Float[Tensor, "batch frame 4 4"]:
        """Each camera to the start view's camera, at a share 0 … 1 of the clip's time."""
        eased = share * share * (3 - 2 * share)
        ease = self.ease[:, None]
        way = self.amount[:, None] * (ease * eased + (1 - ease) * share)
        kind = self.kind[:, None]
        none = torch.zeros_like(way)

        def where(number: int, value: Tensor) -> Tensor:
            return torch.where(kind == number, value, none)

        # An arc turns the camera against its way, so that it keeps looking at the pivot.
        R = _turned(where(PAN, way) - where(ARC, way), where(TILT, way) - where(ARC_UP, way))
        around = ((kind == ARC) | (kind == ARC_UP)).to(way.dtype)
        pivot = self.pivot_camera_m[:, None] * around[..., None]
        t = pivot - torch.einsum("bfij,bfj->bfi", R, pivot)
        t = t + torch.stack([where(TRUCK, way), -where(PEDESTAL, way), where(DOLLY, way)], -1)
        T = torch.zeros((*way.shape, 4, 4), dtype=way.dtype, device=way.device)
        T[..., :3, :3], T[..., :3, 3], T[..., 3, 3] = R, t, 1.0
        return T


def sample_moves(
    rng: SeededRandom,
    mix: MoveMix,
    subject_camera_m: Float[Tensor, "batch 3"],
    nearest_m: Float[Tensor, " batch"],
    camera_height_m: Float[Tensor, " batch"],
    ceiling_m: Float[Tensor, " batch"],
    indoors: Bool[Tensor, " batch"],
) -> SceneMoves:
    """Moves at random.

    `subject_camera_m` is where the subject stands, in the level start view's camera frame; `nearest_m` is how near it
    ever comes to the start view.
    """
    distance = subject_camera_m[:, [0, 2]].norm(dim=1)
    room_up = (ceiling_m - 0.35 - camera_height_m).clamp(min=0.05)
    kind = rng.choice([mix.weights.get(name, 0.0) for name in MOVES])
    share = rng.uniform(low=MIN_SHARE, high=1.0)
    share = torch.where(rng.chance(FULL_SHARE), torch.ones_like(share), share)
    side = torch.where(rng.chance(0.5) | (kind == ARC_UP), 1.0, -1.0)
    reach = torch.where(indoors, 3.0, 6.0)
    sideways, back = torch.minimum(2 * distance, reach), torch.minimum(2 * distance, reach)
    # To both sides: how far each kind can go when its side is positive, and when it is negative.
    turn, tilt = torch.full_like(distance, MAX_TURN_RAD), torch.full_like(distance, MAX_TILT_RAD)
    still = torch.zeros_like(distance)
    rise = torch.minimum(torch.asin((room_up / distance).clamp(max=0.70)), tilt)
    ahead = torch.minimum(0.6 * distance, nearest_m - NEAR_SUBJECT_M).clamp(min=0.1)
    forward = torch.stack([still, turn, tilt, turn, rise, ahead, sideways, torch.minimum(room_up, distance)])
    sink = (camera_height_m - 0.35).clamp(min=0.05)
    backward = torch.stack([still, -turn, -tilt, -turn, rise, -back, -sideways, -torch.minimum(sink, distance)])
    clip = torch.arange(len(kind), device=kind.device)
    amount = share * torch.where(side > 0, forward, backward)[kind, clip]
    if mix.amount is not None:
        amount = torch.where(kind == STATIC, still, side * mix.amount)
    eased = rng.uniform(low=0.5, high=1.0)
    ease = torch.where(rng.chance(0.5), eased, torch.zeros_like(eased))
    return SceneMoves(kind, amount, ease, subject_camera_m)


def _turned(right_rad: Float[Tensor, "*shape"], up_rad: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape 3 3"]:
    """A camera's rotation: to the right about its +Y (down), then up about its own +X."""
    cos, sin = right_rad.cos(), right_rad.sin()
    c, s = up_rad.cos(), up_rad.sin()
    none = torch.zeros_like(cos)
    rows = [cos, sin * s, sin * c, none, c, -s, -sin, cos * s, cos * c]
    return torch.stack(rows, -1).reshape(*cos.shape, 3, 3)
