"""Cameras that turn in place, maybe while zooming: rotations and focal length from tracked directions."""

import numpy as np
from jaxtyping import Float, Int

from understudy.decompose.camera.bundle_adjustment import Bundle, BundleConfig, adjust, noise_scale_px, refine_points
from understudy.decompose.camera.keyframes import between_frames
from understudy.decompose.camera.tracks import PointTracks

__all__ = ["bundle_of", "chain_rotations", "rotation_between_rays", "solve_rotation"]


def solve_rotation(
    tracks: PointTracks, focal_px: float, focal_known: bool, zoom: bool = False, rotations: np.ndarray | None = None
) -> Bundle:
    """Rotations of all frames of `tracks`, one focal length (or a smooth zoom) and the directions of the points.

    `focal_px` is the guess, and a weak prior (a clip that hardly turns says nothing about the lens); it stays as it
    is when `focal_known`.
    """
    R = chain_rotations(tracks, focal_px) if rotations is None else rotations
    bundle = bundle_of(tracks, R, np.zeros((len(R), 3)), np.full(len(R), focal_px), translate=False)
    unit = tracks.unit_px
    bundle = refine_points(bundle, False, 8 * unit, 4)
    focal = "each" if zoom else ("fixed" if focal_known else "shared")
    for scale, iterations in ((8.0, 8), (2.5, 12), (1.0, 20), (None, 20)):
        scale_px = noise_scale_px(bundle, unit) if scale is None else scale * unit
        bundle = adjust(bundle, BundleConfig(False, scale_px, focal, focal_px, iterations=iterations))
    return bundle


def bundle_of(
    tracks: PointTracks,
    R_camera_world: Float[np.ndarray, "frame 3 3"],
    t_camera_world: Float[np.ndarray, "frame 3"],
    focal_px: Float[np.ndarray, " frame"],
    translate: bool,
) -> Bundle:
    """A bundle whose points lie in the direction of the mean of their rays: far away, or at infinity."""
    centre = np.array([tracks.width / 2, tracks.height / 2])
    rays = np.concatenate([(tracks.xy_px - centre) / focal_px[tracks.frame, None], np.ones((len(tracks), 1))], 1)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    world = np.einsum("nji,nj->ni", R_camera_world[tracks.frame], rays)
    mean = np.stack([np.bincount(tracks.track, world[:, i], tracks.count) for i in range(3)], 1)
    points = np.concatenate([mean, np.full((len(mean), 1), 1e-3 if translate else 0.0)], 1)
    length = np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-9)
    return Bundle(
        R_camera_world, t_camera_world, focal_px, centre, points / length, tracks.frame, tracks.track, tracks.xy_px
    )


def chain_rotations(tracks: PointTracks, focal_px: float) -> Float[np.ndarray, "frame 3 3"]:
    """`R_camera_world` of each frame from robust rotations between neighbours; the first is the identity."""
    centre = np.array([tracks.width / 2, tracks.height / 2])
    R = [np.eye(3)]
    for frame in range(1, tracks.frames):
        before, after = between_frames(tracks, frame - 1, frame)
        if len(before) < 4:
            R.append(R[-1])
            continue
        R.append(rotation_between_rays(before - centre, after - centre, focal_px, 2.0 * tracks.unit_px) @ R[-1])
    return np.array(R)


def rotation_between_rays(
    before_px: Float[np.ndarray, "n 2"], after_px: Float[np.ndarray, "n 2"], focal_px: float, tolerance_px: float
) -> Float[np.ndarray, "3 3"]:
    """The rotation that most point pairs (from the picture's centre) agree on: after ~ K R K⁻¹ before.

    Hypotheses from pairs of points (RANSAC, fixed seed), then reweighted Kabsch. Source: Kabsch 1976.
    """
    rays = [np.concatenate([xy / focal_px, np.ones((len(xy), 1))], 1) for xy in (before_px, after_px)]
    a, b = (ray / np.linalg.norm(ray, axis=1, keepdims=True) for ray in rays)
    random = np.random.default_rng(0)
    samples: Int[np.ndarray, "hypothesis 2"] = random.integers(0, len(a), (96, 2))
    hypotheses = _kabsch(np.einsum("hpi,hpj->hij", b[samples], a[samples]))
    misses = np.linalg.norm(np.einsum("hij,nj->hni", hypotheses, a) - b, axis=2) * focal_px
    R = hypotheses[(misses**2 / (misses**2 + tolerance_px**2)).sum(1).argmin()]
    for _ in range(10):
        miss = np.linalg.norm(a @ R.T - b, axis=1) * focal_px
        weight = 1 / (1 + (miss / tolerance_px) ** 2) ** 2
        R = _kabsch(np.einsum("n,ni,nj->ij", weight, b, a)[None])[0]
    return R


def _kabsch(covariance: np.ndarray) -> np.ndarray:
    U, _, Vt = np.linalg.svd(covariance)
    sign = np.ones(U.shape[:-1])
    sign[..., 2] = np.linalg.det(U @ Vt)
    return (U * sign[..., None, :]) @ Vt
