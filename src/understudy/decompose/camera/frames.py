"""From a solution at the keyframes to a pose for every frame, and how well it explains the tracks."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from understudy.core.footage import Sightings
from understudy.decompose.camera.bundle_adjustment import (
    Bundle,
    noise_scale_px,
    refine_cameras,
    refine_points,
    residuals,
)
from understudy.decompose.camera.tracks import PointTracks
from understudy.geometry.rigid import invert, transform_from
from understudy.geometry.rotations import matrix_from_quaternion, quaternion_from_matrix, slerp

__all__ = ["Fit", "fit_of", "pose_all_frames", "still_fit"]

_MIN_POINTS = 8
_MAX_SIGHTINGS = 2_000_000
_OUTLIER_UNITS = 1.5
"""Tracking pixels from which on a point is not where it was seen."""


@dataclass(frozen=True)
class Fit:
    """A camera for every frame, and what it explains."""

    T_world_camera: Float[np.ndarray, "time 4 4"]
    """The first is the identity."""
    focal_px: Float[np.ndarray, " time"]
    points: Float[np.ndarray, "point 3"]
    """The well-placed ones; empty without parallax."""
    sightings: Sightings
    """Where they were seen, but for outliers; of very long shots in every second, third … frame."""
    residual_px: Float[np.ndarray, " time"]
    """Median over each frame's points."""
    bundle: Bundle
    """All frames, all points of the keyframes' tracks."""
    guessed: int
    """Frames with too few points, whose pose is interpolated."""


def pose_all_frames(
    tracks: PointTracks,
    keyframes: Int[np.ndarray, " keyframe"],
    which: Int[np.ndarray, " track"],
    solved: Bundle,
    translate: bool,
) -> Bundle:
    """Every frame by resection against the solved points, which then move once to fit all of their observations.

    `solved` has the keyframes as its cameras and the tracks `which` as its points.
    """
    number = np.full(tracks.count, -1)
    number[which] = np.arange(len(which))
    seen = number[tracks.track] >= 0
    R, t, focal = _interpolated(solved, keyframes, tracks.frames)
    bundle = replace(
        solved,
        R_camera_world=R,
        t_camera_world=t,
        focal_px=focal,
        camera=tracks.frame[seen],
        point=number[tracks.track[seen]],
        xy_px=tracks.xy_px[seen],
    )
    if len(keyframes) == tracks.frames:
        return bundle
    poor = np.bincount(bundle.camera, minlength=tracks.frames) < _MIN_POINTS
    noise_px = noise_scale_px(solved, tracks.unit_px)
    for scale_px in (4 * tracks.unit_px, noise_px, noise_px):
        refined = refine_cameras(bundle, translate, scale_px)
        bundle = replace(
            refined,
            R_camera_world=np.where(poor[:, None, None], bundle.R_camera_world, refined.R_camera_world),
            t_camera_world=np.where(poor[:, None], bundle.t_camera_world, refined.t_camera_world),
        )
        if scale_px == noise_px:
            bundle = refine_points(bundle, translate, scale_px, 3)
    return bundle


def fit_of(bundle: Bundle, unit_px: float, translate: bool) -> Fit:
    """A bundle of all frames as cameras in the first one's frame; the points' median depth becomes 1."""
    frames = len(bundle.focal_px)
    missed = np.linalg.norm(residuals(bundle), axis=1)
    counts = np.bincount(bundle.camera, minlength=frames)
    order = np.argsort(bundle.camera, kind="stable")
    split = np.split(missed[order], np.cumsum(counts)[:-1])
    residual_px = np.array([np.median(part) if len(part) else 0.0 for part in split])
    T_world_camera = invert(transform_from(bundle.R_camera_world, bundle.t_camera_world))
    T_first = invert(T_world_camera[:1])
    points, sightings = np.zeros((0, 3)), Sightings()
    if translate:
        good = _well_placed(bundle, missed, unit_px)
        right = good[bundle.point] & (missed < _OUTLIER_UNITS * unit_px)
        right &= bundle.camera % max(1, -(-int(right.sum()) // _MAX_SIGHTINGS)) == 0
        number = np.cumsum(good) - 1
        sightings = Sightings(number[bundle.point[right]], bundle.camera[right], bundle.xy_px[right])
        X = bundle.points[good]
        points = X[:, :3] / X[:, 3:]
        points = points @ T_first[0, :3, :3].T + T_first[0, :3, 3]
    T_world_camera = T_first @ T_world_camera
    if len(points):
        scale = 1.0 / np.median(np.linalg.norm(points, axis=1))
        points = points * scale
        T_world_camera[:, :3, 3] *= scale
    else:
        T_world_camera[:, :3, 3] = 0.0
    guessed = int((counts < _MIN_POINTS).sum())
    return Fit(T_world_camera, bundle.focal_px, points, sightings, residual_px, bundle, guessed)


def still_fit(tracks: PointTracks, focal_px: float) -> Fit:
    """A camera that stands: each point stays where it is seen in most of its frames."""
    starts = np.searchsorted(tracks.track, np.arange(tracks.count + 1))
    typical = np.array([np.median(tracks.xy_px[a:b], 0) for a, b in pairwise(starts)]).reshape(-1, 2)
    centre = np.array([tracks.width / 2, tracks.height / 2])
    rays = np.concatenate([(typical - centre) / focal_px, np.ones((len(typical), 1)), np.zeros((len(typical), 1))], 1)
    bundle = Bundle(
        np.tile(np.eye(3), (tracks.frames, 1, 1)),
        np.zeros((tracks.frames, 3)),
        np.full(tracks.frames, focal_px),
        centre,
        rays / np.linalg.norm(rays, axis=1, keepdims=True),
        tracks.frame,
        tracks.track,
        tracks.xy_px,
    )
    return replace(fit_of(bundle, tracks.unit_px, False), guessed=0)


def _well_placed(bundle: Bundle, missed: np.ndarray, unit_px: float) -> np.ndarray:
    """Points that fit where they were seen, from directions at least half a degree apart."""
    count = len(bundle.points)
    seen = np.maximum(np.bincount(bundle.point, minlength=count), 1)
    fits = np.bincount(bundle.point, missed < _OUTLIER_UNITS * unit_px, count) > 0.7 * seen
    centre = -np.einsum("tji,tj->ti", bundle.R_camera_world, bundle.t_camera_world)
    rays = bundle.points[bundle.point, :3] - bundle.points[bundle.point, 3:] * centre[bundle.camera]
    rays /= np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), 1e-12)
    mean = np.stack([np.bincount(bundle.point, rays[:, i], count) for i in range(3)], 1)
    mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
    off = np.linalg.norm(rays - mean[bundle.point], axis=1)
    widest = np.zeros(count)
    np.maximum.at(widest, bundle.point, off)
    return fits & (2 * widest > np.radians(0.5)) & (bundle.points[:, 3] > 1e-6)


def _interpolated(solved: Bundle, keyframes: np.ndarray, frames: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Poses of all frames on straight lines and arcs between the keyframes."""
    time = np.arange(frames)
    before = np.clip(np.searchsorted(keyframes, time, side="right") - 1, 0, len(keyframes) - 2)
    share = (time - keyframes[before]) / (keyframes[before + 1] - keyframes[before])
    q = quaternion_from_matrix(solved.R_camera_world)
    R = matrix_from_quaternion(slerp(q[before], q[before + 1], share))
    centres = -np.einsum("tji,tj->ti", solved.R_camera_world, solved.t_camera_world)
    centre = centres[before] + share[:, None] * (centres[before + 1] - centres[before])
    focal = np.interp(time, keyframes, solved.focal_px)
    return R, -np.einsum("tij,tj->ti", R, centre), focal
