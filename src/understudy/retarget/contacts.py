"""When an actor's feet touch the ground: standing still on it, or gliding over it."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import binary_closing, binary_opening, gaussian_filter1d

from understudy.core.motion import BODY_JOINTS
from understudy.retarget.foot_lock import FootLock
from understudy.retarget.rest import SIDES, Body

__all__ = ["FootContacts", "find_contacts", "runs_of"]

SMOOTHING_S = 0.033
"""Standard deviation of the Gaussian that smooths the soles' paths, in seconds (about a frame): found bodies jitter
from one frame to the next, and speeds are differences between frames."""
MAX_GAP_S = 0.07
"""A contact goes on over a gap of at most so many seconds: no step is as short, a noisy frame or two are."""
SETTLED_LEGS_PER_S = 0.02
"""A foot that is slower, in leg lengths per second (18 mm/s on a leg of 0.9 m), stands at a contact's ends too."""
MAX_SPEED_UP = 3.0
"""A contact's first and last moments belong to the step where the foot is faster than SETTLED_LEGS_PER_S, and more than
so many times as fast as its median in that contact."""
MIN_GLIDE_SHARE = 0.15
"""A slow foot glides where it gets on by more than this share of the leg's length during the contact; else it stands,
and is seen to waver."""
MIN_GLIDE_LEGS_PER_S = 0.08
"""In a long contact a slow foot glides only where it gets on faster, in leg lengths per second: a standing foot that is
seen to drift is slower."""
MAX_GLIDE_RISE_LEGS_PER_S = 0.15
"""A faster foot glides while heel and ball rise or fall by less, in leg lengths per second: in a step by more."""
MIN_GLIDE_S = 0.2
"""A faster foot glides for so many seconds at least: feet that swing close over the ground in a step do for less."""


@dataclass(frozen=True)
class FootContacts:
    """When the left and the right foot are on the ground; never both in one moment for one foot."""

    standing: Bool[np.ndarray, "time 2"]
    """On one spot."""
    gliding: Bool[np.ndarray, "time 2"]
    """Moving, as on skates or skis, or in a moonwalk."""


@dataclass(frozen=True)
class Limits:
    """What is called a standing foot."""

    height_share: float
    """Its lowest point is at most this share of the leg's length above the ground."""
    legs_per_s: float
    """Its slowest point moves at most so many leg lengths in a second."""
    min_s: float
    """It stands for so many seconds at least."""


SURE = Limits(0.045, 0.3, 0.1)
"""4 cm and 0.27 m/s on a leg of 0.9 m: a foot that swings through a step is higher or faster."""
ANY = Limits(0.09, 0.6, 0.05)
"""Twice as high, twice as fast, half as long: feet of a doubtful fit that hover or slip."""


def find_contacts(
    T_world_joint: Float[np.ndarray, "time 22 4 4"],
    actor: Body,
    frame_rate: float,
    lock: FootLock = "auto",
    known: Bool[np.ndarray, "time 2"] | None = None,
) -> FootContacts:
    """What a foot lock makes of an actor's contacts; `known`: when the feet surely stand, None: it is looked for.

    auto: sure contacts; always: any contact that is found; ground: any contact glides, nothing is held; never: none.
    """
    if lock == "never":
        none = np.zeros((len(T_world_joint), 2), bool)
        return FootContacts(none, none)
    found = seen_contacts(T_world_joint, actor, frame_rate, SURE if lock == "auto" else ANY)
    if known is not None:
        standing = known if lock == "auto" else known | found.standing
        found = FootContacts(standing, found.gliding & ~standing)
    if lock == "ground":
        return FootContacts(np.zeros_like(found.standing), found.standing | found.gliding)
    return found


def seen_contacts(
    T_world_joint: Float[np.ndarray, "time 22 4 4"], actor: Body, frame_rate: float, limits: Limits
) -> FootContacts:
    """Standing: heel, ball or tip is low and slow, for longer than a moment. Gliding: flat on the ground, and on."""
    standing, gliding = np.zeros((2, len(T_world_joint), 2), bool)
    for place, side in enumerate(SIDES):
        points = sole_paths(T_world_joint, actor, side, frame_rate)
        velocity = np.gradient(points, axis=1) * frame_rate / actor.leg_m if points.shape[1] > 1 else 0 * points
        height, speed = points[..., 1] / actor.leg_m, np.linalg.norm(velocity, axis=2)
        low = height < limits.height_share
        slowest = np.where(low, speed, np.inf).min(0)
        stands = tidy(slowest < limits.legs_per_s, limits.min_s, frame_rate)
        flat = (low & (np.abs(velocity[..., 1]) < MAX_GLIDE_RISE_LEGS_PER_S))[:2].all(0)
        glides = tidy(flat & ~stands, MIN_GLIDE_S, frame_rate)
        for first, last in runs_of(stands):
            moved = float(np.linalg.norm(points[1, last - 1] - points[1, first])) / actor.leg_m
            if moved > max(MIN_GLIDE_SHARE, MIN_GLIDE_LEGS_PER_S * (last - first) / frame_rate):
                stands[first:last], glides[first:last] = False, True
            else:
                usual = float(np.median(slowest[first:last]))
                firm = np.flatnonzero(slowest[first:last] <= max(MAX_SPEED_UP * usual, SETTLED_LEGS_PER_S))
                stands[first : first + firm[0]] = stands[first + firm[-1] + 1 : last] = False
        standing[:, place], gliding[:, place] = stands, glides & ~stands
    return FootContacts(standing, gliding)


def sole_paths(
    T_world_joint: Float[np.ndarray, "time 22 4 4"], actor: Body, side: str, frame_rate: float
) -> Float[np.ndarray, "3 time 3"]:
    """Where heel, ball and tip of a foot go, smoothed a little."""
    sole, foot, toes = actor.soles[side], *(BODY_JOINTS.index(side + part) for part in ("Foot", "ToeBase"))
    paths = []
    for joint, point in ((foot, sole.heel), (foot, sole.ball), (toes, sole.tip)):
        T = T_world_joint[:, joint]
        path = T[:, :3, 3] + T[:, :3, :3] @ (point - actor.positions[joint])
        paths.append(gaussian_filter1d(path, SMOOTHING_S * frame_rate, axis=0, mode="nearest"))
    return np.stack(paths)


def tidy(touching: Bool[np.ndarray, " time"], min_s: float, frame_rate: float) -> Bool[np.ndarray, " time"]:
    """Short gaps closed and short contacts dropped; the ends of the shot count as going on."""
    gap, short = (max(1, round(seconds * frame_rate)) for seconds in (MAX_GAP_S, min_s))
    pad = gap + short + 1
    padded = np.pad(touching, pad, mode="edge")
    padded = binary_closing(padded, np.ones(gap + 1, bool))
    padded = binary_opening(padded, np.ones(short, bool))
    return padded[pad:-pad]


def runs_of(flags: Bool[np.ndarray, " time"]) -> list[tuple[int, int]]:
    """First and one-past-last index of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]
