"""Which frames of a shot carry the solution: enough movement between them, enough shared points."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from understudy.decompose.camera.tracks import PointTracks

__all__ = ["between_frames", "choose_keyframes", "keyframe_tracks"]

MIN_SIGHTINGS = 3
"""Keyframes that see a point: two place it, a third tells whether it stands still."""


def between_frames(tracks: PointTracks, a: int, b: int) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
    """Where the points that both frames see are in each."""
    in_a, in_b = tracks.shared(a, b)
    return tracks.xy_px[in_a], tracks.xy_px[in_b]


def choose_keyframes(tracks: PointTracks, max_count: int) -> Int[np.ndarray, " keyframe"]:
    """A new keyframe when points have moved, or have been lost, or much time has passed; first and last always.

    Steps grow until there are at most `max_count`, as long as neighbours still share half of their points.
    """
    by_frame = _by_frame(tracks)
    move_px, keep = 0.015 * max(tracks.width, tracks.height), 0.8
    max_gap = max(4, tracks.frames // 24)
    while True:
        chosen = _pass(tracks, by_frame, move_px, keep, max_gap)
        if len(chosen) <= max_count or (move_px > 0.15 * max(tracks.width, tracks.height) and keep < 0.5):
            return np.array(chosen)
        move_px, keep, max_gap = move_px * 1.3, max(keep * 0.93, 0.45), int(max_gap * 1.3) + 1


def keyframe_tracks(
    tracks: PointTracks, keyframes: Int[np.ndarray, " keyframe"]
) -> tuple[PointTracks, Int[np.ndarray, " track"]]:
    """The tracks as seen in the keyframes alone (`frame` then counts keyframes), and which tracks these were."""
    number = np.full(tracks.frames, -1)
    number[keyframes] = np.arange(len(keyframes))
    keep = number[tracks.frame] >= 0
    which = np.flatnonzero(np.bincount(tracks.track[keep], minlength=tracks.count) >= MIN_SIGHTINGS)
    thinned = tracks.select(keep, MIN_SIGHTINGS)
    return replace(thinned, frame=number[thinned.frame], frames=len(keyframes)), which


def _by_frame(tracks: PointTracks) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each frame: the tracks seen (ascending), and where."""
    order = np.lexsort((tracks.track, tracks.frame))
    starts = np.searchsorted(tracks.frame[order], np.arange(tracks.frames + 1))
    return [(tracks.track[order[a:b]], tracks.xy_px[order[a:b]]) for a, b in pairwise(starts)]


def _pass(
    tracks: PointTracks, by_frame: list[tuple[np.ndarray, np.ndarray]], move_px: float, keep: float, max_gap: int
) -> list[int]:
    chosen = [0]
    for frame in range(1, tracks.frames):
        (old, old_px), (new, new_px) = by_frame[chosen[-1]], by_frame[frame]
        _, in_old, in_new = np.intersect1d(old, new, assume_unique=True, return_indices=True)
        shared = len(in_old) / max(1, len(old))
        moved = np.median(np.linalg.norm(new_px[in_new] - old_px[in_old], axis=1)) if len(in_old) else np.inf
        if moved > move_px or shared < keep or frame - chosen[-1] >= max_gap or frame == tracks.frames - 1:
            chosen.append(frame)
    return chosen
