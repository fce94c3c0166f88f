"""From scattered observations of one person to a whole track: swapped sides, spikes and gaps are repaired.

Nothing is smoothed here: how much of a fast swing is noise, only the body fit can tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from understudy.core.footage import LANDMARKS, LandmarkTrack
from understudy.decompose.people.person_tracks import Observation

__all__ = ["RepairReport", "find_spikes", "find_swaps", "repair_track", "swap_sides"]

_LEFT = [i for i, name in enumerate(LANDMARKS) if "left" in name]
_RIGHT = [LANDMARKS.index(LANDMARKS[i].replace("left", "right")) for i in _LEFT]
_LEG_WORDS = ("hip", "knee", "ankle", "heel", "foot")
_LEGS = [i for i in _LEFT if any(word in LANDMARKS[i] for word in _LEG_WORDS)]
_HIPS, _SHANKS = [i for i in _LEGS if "hip" in LANDMARKS[i]], [i for i in _LEGS if "hip" not in LANDMARKS[i]]
_ARMS = [i for i in _LEFT if i not in _LEGS]
_PARTS = (_HIPS, _SHANKS, _ARMS)
"""What is exchanged as a whole: the left landmarks of each part. A network often knows which hip is which and, where
legs cross, not which knee and foot."""
_STATES = np.arange(1 << len(_PARTS))[None] >> np.arange(len(_PARTS))[:, None] & 1
"""Of each part (row) whether it is exchanged, in each combination (column)."""
_RIGHT_OF = dict(zip(_LEFT, _RIGHT, strict=True))

SWAP_COST = 0.03
"""Of each change between straight and swapped, in body sizes of mean landmark acceleration."""
HIPS_SHARE = 0.2
"""Of hips in the acceleration of legs: two of ten landmarks."""
SWAPPED_COST = 0.006
"""Of each swapped frame: the network is right unless a lot speaks against it."""
TWIST_COST = 0.1
"""Of hips and shoulders that face opposite ways."""
TURN_COST = 0.1
"""Of hips or shoulders that turn at twice TURN_RAD_S, between two observations."""
TURN_RAD_S = 8.0
"""How fast a quick spin turns a body."""
MAX_TURNS = 3.0
"""From how far above TURN_RAD_S, in its multiples, on a turn costs no more."""
SPIKE_SPEED = 6.0
"""Body sizes per second: out and back again faster than this is a mistake."""


@dataclass(frozen=True)
class RepairReport:
    """How much had to be repaired."""

    swapped_legs: int
    """Frames in which left and right legs were exchanged."""
    swapped_arms: int
    """Frames in which left and right arms and sides of the head were exchanged."""
    spikes: int
    """Landmarks that stood out of their own path for one frame."""


def repair_track(
    observations: Mapping[int, Observation], length: int, frames_per_second: float
) -> tuple[LandmarkTrack, RepairReport]:
    """One person's landmarks for each of `length` frames. Raises ValueError without any observation."""
    if not observations:
        raise ValueError("a track needs at least one observation")
    frames = np.array(sorted(observations))
    found = [observations[frame] for frame in frames]
    points = np.stack([s.landmarks_px for s in found])
    points_m = np.stack([s.landmarks_m for s in found])
    visibility = np.stack([s.visibility for s in found])
    size_px = np.array([s.next_crop.size_px for s in found])

    hips, shanks, arms = swaps = find_swaps(frames, points, points_m, size_px, frames_per_second)
    for swapped, left in zip(swaps, _PARTS, strict=True):
        for values in (points, points_m, visibility):
            swap_sides(values, swapped, left)
    spikes = find_spikes(frames, points, size_px, SPIKE_SPEED / frames_per_second)
    visibility[spikes] = 0.0
    for values in (points, points_m):
        _interpolate_spikes(frames, values, spikes)

    seen = np.zeros(length, bool)
    seen[frames] = True
    every = np.arange(length)
    full_visibility = np.zeros((length, len(LANDMARKS)))
    full_visibility[frames] = visibility
    track = LandmarkTrack(
        landmarks_px=_interpolate(every, frames, points),
        visibility=full_visibility,
        landmarks_m=_interpolate(every, frames, points_m),
        seen=seen,
    )
    return track, RepairReport(int((hips | shanks).sum()), int(arms.sum()), int(spikes.sum()))


def find_swaps(
    frames: Int[np.ndarray, " observation"],
    points: Float[np.ndarray, "observation 33 2"],
    points_m: Float[np.ndarray, "observation 33 3"],
    size_px: Float[np.ndarray, " observation"],
    frames_per_second: float,
) -> Bool[np.ndarray, "3 observation"]:
    """In which observations left and right are exchanged: of the hips, of what is below, and of arms and head.

    The labels with the least acceleration along time, in the picture and in metres, with hips and shoulders turned the
    same way and no faster than a body can turn, found by dynamic programming over pairs of consecutive observations;
    each swapped observation and each change costs a little.
    """
    count = len(points)
    if count < 3:
        return np.zeros((len(_PARTS), count), bool)
    body = np.concatenate([points / size_px[:, None, None], 0.5 * points_m], axis=-1)
    hips, shanks, arms = _STATES
    bend = np.zeros((count - 2, len(hips), len(hips), len(hips)))
    for part, left, share in zip(_STATES, _PARTS, (HIPS_SHARE, 1.0 - HIPS_SHARE, 1.0), strict=True):
        bend += share * _bends(frames, body, left)[:, part[:, None, None], part[None, :, None], part[None, None, :]]
    alone = SWAPPED_COST * ((hips | shanks) + arms) + _twists(points_m)[:, (hips != arms).astype(int)]
    hips_changed, shanks_changed, arms_changed = (_STATES[:, :, None] != _STATES[:, None, :]).astype(int)
    change = SWAP_COST * ((hips_changed | shanks_changed) + arms_changed)
    hip_turns, shoulder_turns = _turns(frames / frames_per_second, points_m)
    change = change + hip_turns[:, hips_changed] + shoulder_turns[:, arms_changed]
    best = alone[0][:, None] + alone[1][None] + change[0]
    origin = np.zeros((count, len(hips), len(hips)), int)
    for t in range(2, count):
        total = best[:, :, None] + bend[t - 2] + (change[t - 1] + alone[t][None])[None]
        origin[t], best = total.argmin(0), total.min(0)
    states = np.zeros(count, int)
    states[-2], states[-1] = np.unravel_index(best.argmin(), best.shape)
    for t in range(count - 1, 1, -1):
        states[t - 2] = origin[t, states[t - 1], states[t]]
    return _STATES[:, states].astype(bool)


def _bends(
    frames: Int[np.ndarray, " observation"], body: Float[np.ndarray, "observation 33 5"], left: list[int]
) -> Float[np.ndarray, "observation-2 2 2 2"]:
    """Mean acceleration of three consecutive observations of one part, for each way to label them."""
    right = [_RIGHT_OF[i] for i in left]
    sides = np.stack([body[:, left + right], body[:, right + left]])
    # Observations may be unevenly spaced: the change between the velocities before and after.
    before, after = np.diff(frames)[:-1, None, None], np.diff(frames)[1:, None, None]
    cost = np.zeros((len(body) - 2, 2, 2, 2))
    for a, b, c in np.ndindex(2, 2, 2):
        bend = (sides[c, 2:] - sides[b, 1:-1]) / after - (sides[b, 1:-1] - sides[a, :-2]) / before
        cost[:, a, b, c] = np.linalg.norm(bend, axis=-1).mean(-1)
    return cost


def _twists(points_m: Float[np.ndarray, "observation 33 3"]) -> Float[np.ndarray, "observation 2"]:
    """Cost of hips and shoulders that face apart, as labelled and with one of them exchanged."""
    hips, shoulders = (_axis(points_m, part) for part in ("hip", "shoulder"))
    along = (hips * shoulders).sum(-1)
    return TWIST_COST * np.stack([np.maximum(-along, 0.0), np.maximum(along, 0.0)], axis=1)


def _turns(
    time_s: Float[np.ndarray, " observation"], points_m: Float[np.ndarray, "observation 33 3"]
) -> list[Float[np.ndarray, "observation-1 2"]]:
    """Cost of turns from one observation to the next that no body can do, of hips and of shoulders: as labelled, and
    with one of the two observations exchanged."""
    costs = []
    for part in ("hip", "shoulder"):
        axis = _axis(points_m, part)
        turn = np.arccos(np.clip((axis[1:] * axis[:-1]).sum(-1), -1.0, 1.0))
        times = np.stack([turn, np.pi - turn], 1) / (TURN_RAD_S * np.diff(time_s))[:, None]
        costs.append(TURN_COST * np.clip(times - 1.0, 0.0, MAX_TURNS))
    return costs


def _axis(points_m: Float[np.ndarray, "observation 33 3"], part: str) -> Float[np.ndarray, "observation 3"]:
    """Unit vectors from the right to the left of a pair of landmarks."""
    axis = points_m[:, LANDMARKS.index(f"left_{part}")] - points_m[:, LANDMARKS.index(f"right_{part}")]
    return axis / np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), 1e-6)


def swap_sides(
    values: Float[np.ndarray, "observation 33 ..."], swapped: Bool[np.ndarray, " observation"], left: list[int]
) -> None:
    """Exchange, in place, the left landmarks `left` and their right ones where `swapped`."""
    right = [_RIGHT_OF[i] for i in left]
    rows = np.flatnonzero(swapped)[:, None]
    values[rows, left + right] = values[rows, right + left]


def find_spikes(
    frames: Int[np.ndarray, " observation"],
    points: Float[np.ndarray, "observation 33 2"],
    size_px: Float[np.ndarray, " observation"],
    limit: float,
) -> Bool[np.ndarray, "observation 33"]:
    """Landmarks that leave their path for one frame and come back: further off than `limit` body sizes and than
    their neighbours are from each other. A fast swing passes, as its neighbours lie far apart; so does its turning
    point, which no arm reaches and leaves at such a speed."""
    spikes = np.zeros(points.shape[:2], bool)
    if len(points) < 3:
        return spikes
    middle = 0.5 * (points[2:] + points[:-2])
    off = np.linalg.norm(points[1:-1] - middle, axis=-1)
    apart = np.linalg.norm(points[2:] - points[:-2], axis=-1)
    consecutive = (frames[2:] - frames[:-2] == 2)[:, None]
    spikes[1:-1] = consecutive & (off > limit * size_px[1:-1, None] + apart)
    # Beside a spike its neighbours look like spikes too: only the worst of them is one.
    score = np.zeros(points.shape[:2])
    score[1:-1] = off
    spikes[1:-1] &= (score[1:-1] >= score[2:]) & (score[1:-1] >= score[:-2])
    return spikes


def _interpolate_spikes(
    frames: Int[np.ndarray, " observation"],
    values: Float[np.ndarray, "observation 33 n"],
    spikes: Bool[np.ndarray, "observation 33"],
) -> None:
    for landmark in np.flatnonzero(spikes.any(0)):
        good = ~spikes[:, landmark]
        values[~good, landmark] = _interpolate(frames[~good], frames[good], values[good, landmark])


def _interpolate(
    wanted: Int[np.ndarray, " wanted"], frames: Int[np.ndarray, " known"], values: Float[np.ndarray, "known ..."]
) -> Float[np.ndarray, "wanted ..."]:
    """Linear in time; before the first and after the last known frame, the value there."""
    after = np.clip(np.searchsorted(frames, wanted), 1, max(len(frames) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(frames) - 1)
    span = np.maximum(frames[after] - frames[before], 1)
    share = np.clip((wanted - frames[before]) / span, 0.0, 1.0).reshape(-1, *([1] * (values.ndim - 1)))
    return (1 - share) * values[before] + share * values[after]
