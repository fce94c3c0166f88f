"""The moving subject of ray-cast clips: a person of capsules, at random.

A subject at rest faces +Z of its own frame, stands on y = 0, and has its left on +X.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from understudy.synthetic.worlds.actions import ACTIONS, Angle, BodyAngles, pose
from understudy.synthetic.worlds.colours import linear
from understudy.synthetic.worlds.seeded_random import SeededRandom

__all__ = ["BOTTOMS", "COLOURS", "PEOPLE", "TOPS", "Capsules", "Subject", "sample_subject", "subject_capsules"]

Rgb = tuple[float, float, float]

COLOURS: dict[str, Rgb] = {
    "red": (0.80, 0.12, 0.12), "orange": (0.92, 0.50, 0.10), "yellow": (0.93, 0.80, 0.15),
    "green": (0.15, 0.55, 0.20), "turquoise": (0.10, 0.68, 0.66), "blue": (0.13, 0.28, 0.75),
    "purple": (0.48, 0.18, 0.62), "pink": (0.93, 0.48, 0.65), "brown": (0.42, 0.26, 0.15),
    "white": (0.92, 0.92, 0.90), "grey": (0.50, 0.50, 0.52), "black": (0.08, 0.08, 0.09),
}  # fmt: skip
"""Clothes colours by name, in sRGB."""
SKINS: tuple[Rgb, ...] = (
    (0.95, 0.78, 0.68), (0.88, 0.67, 0.54), (0.74, 0.53, 0.39), (0.55, 0.37, 0.26), (0.38, 0.25, 0.18),
)  # fmt: skip
HAIRS: tuple[Rgb, ...] = (
    (0.10, 0.08, 0.07), (0.28, 0.17, 0.09), (0.55, 0.33, 0.14), (0.85, 0.70, 0.38), (0.75, 0.75, 0.74),
)  # fmt: skip

PEOPLE: tuple[str, ...] = ("man", "woman", "boy", "girl")
TOPS: tuple[str, ...] = ("shirt", "t-shirt", "sweater", "coat")
BOTTOMS: tuple[str, ...] = ("trousers", "shorts", "skirt")
LONG_SLEEVES = (True, False, True, True)


@dataclass(frozen=True)
class Capsules:
    """Rounded limbs in the world."""

    start_m: Float[Tensor, "batch frame capsule 3"]
    end_m: Float[Tensor, "batch frame capsule 3"]
    radius_m: Float[Tensor, "batch capsule"]
    """0: not there."""
    colour: Float[Tensor, "batch capsule 3"]
    """Linear RGB."""
    shadow_m: Float[Tensor, "batch frame blob 3"]
    """Points on the ground under the feet and the body."""
    shadow_radius_m: Float[Tensor, " batch"]


@dataclass(frozen=True)
class Subject:
    """Who acts, in what clothes, how and where."""

    there: Bool[Tensor, " batch"]
    person: Int[Tensor, " batch"]
    """Number in `PEOPLE`."""
    height_m: Float[Tensor, " batch"]
    girth: Float[Tensor, " batch"]
    """1: usual; limbs are this much thicker."""
    skin: Float[Tensor, "batch 3"]
    """Linear RGB."""
    hair: Float[Tensor, "batch 3"]
    long_hair: Bool[Tensor, " batch"]
    top: Int[Tensor, " batch"]
    """Number in `TOPS`."""
    top_colour: Int[Tensor, " batch"]
    """Number in `COLOURS`."""
    bottom: Int[Tensor, " batch"]
    bottom_colour: Int[Tensor, " batch"]
    shade: Float[Tensor, "batch 2"]
    """How much lighter or darker than its name top and bottom are."""
    action: Int[Tensor, " batch"]
    """Number in `world_actions.ACTIONS`."""
    cycles: Float[Tensor, " batch"]
    """How often the action repeats in a clip."""
    phase: Float[Tensor, " batch"]
    vigour: Float[Tensor, " batch"]
    """1: usual; how far limbs swing."""
    distance_m: Float[Tensor, " batch"]
    """From the start view, along the ground, in the middle of the clip."""
    bearing_rad: Float[Tensor, " batch"]
    """Where the start view sees it: positive to the right of the middle."""
    heading_rad: Float[Tensor, " batch"]
    """0: faces the start view; positive: turned to the picture's right."""

    travel_m: Float[Tensor, " batch"]
    """How far it walks during the clip, along its heading, around its place."""

    def ground_camera_m(self, share: Float[Tensor, "batch frame"]) -> Float[Tensor, "batch frame 2"]:
        """X (right) and Z (away) in the level start view where the subject stands, at a share of the clip's time."""
        place = self.distance_m[:, None] * torch.stack([self.bearing_rad.sin(), self.bearing_rad.cos()], 1)
        facing = self.facing_rad
        forward = torch.stack([facing.sin(), facing.cos()], 1)
        way = self.travel_m[:, None] * (share - 0.5)
        return place[:, None] + way[..., None] * forward[:, None]

    @property
    def facing_rad(self) -> Float[Tensor, " batch"]:
        """Where it faces: the angle from the start view's +Z towards its +X."""
        return self.bearing_rad + torch.pi - self.heading_rad


def sample_subject(rng: SeededRandom, indoors: Bool[Tensor, " batch"], empty_share: float) -> Subject:
    """People at random; in `empty_share` of the clips there is nobody."""
    person = rng.choice([1.0, 1.0, 0.25, 0.25])
    child, female = person >= 2, person % 2 == 1
    grown = torch.where(female, rng.uniform(low=1.52, high=1.80), rng.uniform(low=1.62, high=1.95))
    height = torch.where(child, rng.uniform(low=1.2, high=1.45), grown)
    bottom = rng.choice([0.72, 0.28, 0.0])
    bottom = torch.where(female & rng.chance(0.4), 2, bottom)
    top_colour = rng.integer(len(COLOURS))
    # Top and bottom never share a colour.
    bottom_colour = (top_colour + 1 + rng.integer(len(COLOURS) - 1)) % len(COLOURS)
    far = torch.where(indoors, 2.7, 3.3)
    skins, hairs = (linear(torch.tensor(table, device=height.device)) for table in (SKINS, HAIRS))
    heading = rng.uniform(low=-torch.pi / 4, high=torch.pi / 4)
    action, cycles = rng.integer(len(ACTIONS)), rng.uniform(low=1.0, high=2.2)
    travel = (0.55 * height * cycles).clamp(max=1.5) * (action == list(ACTIONS).index("walk"))
    return Subject(
        there=~rng.chance(empty_share),
        person=person,
        height_m=height,
        girth=rng.uniform(low=0.85, high=1.3),
        skin=skins[rng.integer(len(SKINS))],
        hair=hairs[rng.integer(len(HAIRS))],
        long_hair=torch.where(female, rng.uniform() < 0.75, rng.uniform() < 0.06),
        top=rng.integer(len(TOPS)),
        top_colour=top_colour,
        bottom=bottom,
        bottom_colour=bottom_colour,
        shade=rng.uniform(2, low=0.8, high=1.15),
        action=action,
        cycles=cycles,
        phase=rng.uniform(),
        vigour=rng.uniform(low=0.8, high=1.15),
        distance_m=height + rng.uniform() * (far - height) + 0.5 * travel,
        bearing_rad=rng.uniform(low=-0.40, high=0.40),
        heading_rad=heading,
        travel_m=travel,
    )


def subject_capsules(
    subject: Subject, T_world_start: Float[Tensor, "batch 4 4"], share: Float[Tensor, "batch frame"]
) -> Capsules:
    """The subject at shares 0 … 1 of the clip's time, in the world; `T_world_start` is the level start view."""
    own = pose(subject.action, subject.cycles, subject.phase, subject.vigour, share)
    start, end, radius = _skeleton(subject, own)
    # The lower foot stands on the ground, unless the whole body is in the air.
    lowest = torch.minimum(start[..., 1], end[..., 1])[:, :, FEET].amin(2) - radius[:, None, FEET[0]]
    lift = own.lift * subject.height_m[:, None] - lowest
    facing = subject.facing_rad[:, None] + own.turn
    forward = torch.stack([facing.sin(), facing.cos()], -1)
    place = subject.ground_camera_m(share)
    R = T_world_start[:, None, None, :3, :3]
    eye = T_world_start[:, None, None, :3, 3]

    def to_world(point: Tensor) -> Tensor:
        # The subject's left is on the right of who faces it.
        x, y, z = point.unbind(-1)
        left = torch.stack([-forward[..., 1], forward[..., 0]], -1)[:, :, None]
        flat = place[:, :, None] + x[..., None] * left + z[..., None] * forward[:, :, None]
        camera = torch.stack([flat[..., 0], torch.zeros_like(x), flat[..., 1]], -1)
        world = (R @ camera[..., None])[..., 0] + eye
        return torch.stack([world[..., 0], y, world[..., 2]], -1)

    up = lift[..., None, None] * torch.tensor([0.0, 1.0, 0.0], device=lift.device)
    start, end = start + up, end + up
    ground = torch.stack([start[:, :, FEET[0]], start[:, :, FEET[1]], start[:, :, PELVIS]], 2)
    ground = ground * torch.tensor([1.0, 0.0, 1.0], device=lift.device)
    radius = radius * subject.there[:, None]
    return Capsules(
        to_world(start), to_world(end), radius, _colours(subject), to_world(ground),
        0.3 * subject.height_m * subject.girth.sqrt() * subject.there,
    )  # fmt: skip


LIMBS: tuple[str, ...] = (
    "pelvis", "belly", "chest", "neck", "head", "hair", "long hair", "left upper arm", "right upper arm",
    "left lower arm", "right lower arm", "left hand", "right hand", "left thigh", "right thigh", "left shin",
    "right shin", "left foot", "right foot", "skirt",
)  # fmt: skip
PELVIS = LIMBS.index("pelvis")
FEET = [LIMBS.index("left foot"), LIMBS.index("right foot")]


def _direction(forward: Angle, out: Angle) -> Float[Tensor, "*shape 3"]:
    """A hanging limb swung forward, and to +X, by angles."""
    forward, out = torch.as_tensor(forward), torch.as_tensor(out)
    return torch.stack([out.sin(), -forward.cos() * out.cos(), forward.sin() * out.cos()], -1)


def _skeleton(subject: Subject, own: BodyAngles) -> tuple[Tensor, Tensor, Tensor]:
    """Ends and radii of all limbs, hips' middle at the origin. Shares of the height follow common body tables."""
    H = subject.height_m[:, None, None]
    child = (subject.person >= 2)[:, None, None].to(H.dtype)
    female = (subject.person % 2 == 1)[:, None, None].to(H.dtype)
    across = torch.tensor([1.0, 0.0, 0.0], device=H.device)
    # The spine leans forward and sideways, and twists.
    bow, sway, turn, look = (torch.as_tensor(angle) for angle in (own.lean, own.sway, own.twist, own.nod))
    lean = torch.stack([sway.sin(), bow.cos() * sway.cos(), bow.sin() * sway.cos()], -1)
    twist = torch.stack([turn.cos(), torch.zeros_like(turn), -turn.sin()], -1)
    front = torch.cross(twist, lean, dim=-1)
    pelvis = torch.zeros_like(lean)
    neck_low = pelvis + 0.285 * H * lean
    chest = pelvis + 0.23 * H * lean
    nod = torch.nn.functional.normalize(lean + 0.5 * front * look[..., None], dim=-1)
    head = neck_low + (0.088 - 0.004 * child) * H * nod
    head_front = torch.nn.functional.normalize(front - nod * (front * nod).sum(-1, keepdim=True), dim=-1)
    chest_half = (0.088 - 0.014 * female) * H * twist
    shoulder = (0.118 - 0.016 * female - 0.008 * child) * H * twist
    hip = 0.052 * H * across
    parts: dict[str, tuple[Tensor, Tensor]] = {
        "pelvis": (pelvis - 0.045 * H * across, pelvis + 0.045 * H * across),
        "belly": (pelvis + 0.03 * H * lean, pelvis + 0.16 * H * lean),
        "chest": (chest - chest_half, chest + chest_half),
        "neck": (neck_low - 0.03 * H * lean, neck_low + 0.04 * H * nod),
        "head": (head - 0.014 * H * nod, head + 0.022 * H * nod),
        "hair": (head + 0.03 * H * nod - 0.012 * H * head_front, head + 0.01 * H * nod - 0.024 * H * head_front),
        "long hair": (head - 0.03 * H * head_front, head - 0.085 * H * nod - 0.035 * H * head_front),
    }
    for side, sign in (("left", 1.0), ("right", -1.0)):
        arm = own.arms[side]
        root = chest + 0.035 * H * lean + sign * shoulder
        upper = _frame(_direction(arm.forward, sign * arm.out), twist, lean, front)
        lower = _frame(_direction(arm.forward + arm.bend * arm.bend_forward, sign * (arm.out + arm.bend * (
            1 - arm.bend_forward))), twist, lean, front)  # fmt: skip
        elbow = root + 0.165 * H * upper
        wrist = elbow + 0.135 * H * lower
        parts[f"{side} upper arm"], parts[f"{side} lower arm"] = (root, elbow), (elbow, wrist)
        parts[f"{side} hand"] = (wrist + 0.02 * H * lower, wrist + 0.04 * H * lower)
        leg = own.legs[side]
        thigh = _direction(leg.forward, sign * leg.out)
        shin = _direction(leg.forward - leg.bend, sign * leg.out)
        knee = pelvis - 0.02 * H * torch.tensor([0.0, 1.0, 0.0], device=H.device) + sign * hip + 0.235 * H * thigh
        ankle = knee + 0.225 * H * shin
        toe = torch.stack([0 * bow, 0 * bow, 1 + 0 * bow], -1)
        parts[f"{side} thigh"], parts[f"{side} shin"] = (knee - 0.235 * H * thigh, knee), (knee, ankle)
        parts[f"{side} foot"] = (ankle - 0.012 * H * toe, ankle + 0.085 * H * toe)
    legs = 0.5 * (parts["left thigh"][1] + parts["right thigh"][1])
    parts["skirt"] = (pelvis + 0.25 * (legs - pelvis), pelvis + 0.8 * (legs - pelvis))
    start = torch.stack([parts[name][0] for name in LIMBS], 2)
    end = torch.stack([parts[name][1] for name in LIMBS], 2)
    return start, end, _radii(subject)


def _frame(local: Tensor, twist: Tensor, lean: Tensor, front: Tensor) -> Float[Tensor, "*shape 3"]:
    """A direction in the chest's own axes, in the body's."""
    x, y, z = local.split(1, -1)
    return x * twist + y * lean + z * front


RADII = {
    "pelvis": 0.062, "belly": 0.072, "chest": 0.066, "neck": 0.03, "head": 0.056, "hair": 0.056, "long hair": 0.04,
    "left upper arm": 0.031, "right upper arm": 0.031, "left lower arm": 0.026, "right lower arm": 0.026,
    "left hand": 0.026, "right hand": 0.026, "left thigh": 0.05, "right thigh": 0.05, "left shin": 0.037,
    "right shin": 0.037, "left foot": 0.026, "right foot": 0.026, "skirt": 0.1,
}  # fmt: skip
"""In shares of the height."""
SLIM = ("neck", "head", "hair", "long hair", "left hand", "right hand", "left foot", "right foot")
"""Limbs that girth leaves alone."""


def _radii(subject: Subject) -> Float[Tensor, "batch capsule"]:
    base = torch.tensor([RADII[name] for name in LIMBS], device=subject.height_m.device)
    slim = torch.tensor([name in SLIM for name in LIMBS], device=base.device)
    radius = subject.height_m[:, None] * base * torch.where(slim, torch.ones_like(base), subject.girth[:, None])
    # Children have larger heads.
    head = torch.tensor([name in ("head", "hair") for name in LIMBS], device=base.device)
    radius = radius * torch.where(head & (subject.person >= 2)[:, None], 1.22, 1.0)
    coat, skirt = subject.top == TOPS.index("coat"), subject.bottom == BOTTOMS.index("skirt")
    there = torch.ones_like(radius, dtype=torch.bool)
    there[:, LIMBS.index("long hair")] = subject.long_hair
    there[:, LIMBS.index("skirt")] = coat | skirt
    return radius * there


def _colours(subject: Subject) -> Float[Tensor, "batch capsule 3"]:
    """Skin, hair and clothes on the limbs."""
    table = linear(torch.tensor(list(COLOURS.values()), device=subject.height_m.device))
    top = table[subject.top_colour] * subject.shade[:, :1]
    bottom = table[subject.bottom_colour] * subject.shade[:, 1:]
    sleeve = torch.tensor(LONG_SLEEVES, device=top.device)[subject.top][:, None]
    coat = (subject.top == TOPS.index("coat"))[:, None]
    bare_legs = (subject.bottom > 0)[:, None]
    skirt = (subject.bottom == BOTTOMS.index("skirt"))[:, None]
    shoe = torch.full_like(top, 0.03)
    worn = {
        "pelvis": torch.where(coat, top, bottom), "belly": top, "chest": top, "neck": subject.skin,
        "head": subject.skin, "hair": subject.hair, "long hair": subject.hair,
        "upper arm": top, "lower arm": torch.where(sleeve, top, subject.skin), "hand": subject.skin,
        "thigh": torch.where(skirt, subject.skin, bottom), "shin": torch.where(bare_legs, subject.skin, bottom),
        "foot": shoe, "skirt": torch.where(coat, top, bottom),
    }  # fmt: skip
    return torch.stack([worn[name.removeprefix("left ").removeprefix("right ")] for name in LIMBS], 1)
