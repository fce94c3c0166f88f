"""Cameras that move through space: structure from motion on tracked points."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from understudy.decompose.camera.bundle_adjustment import Bundle, BundleConfig, adjust, noise_scale_px, refine_points
from understudy.decompose.camera.rotation import bundle_of
from understudy.decompose.camera.tracks import PointTracks
from understudy.io.temporary import temporary_folder
from understudy.runtime.colmap import pycolmap
from understudy.runtime.parallel import in_order

__all__ = ["map_globally", "solve_parallax"]

_MIN_MATCHES = 24
"""Points that two frames must both see for their geometry to be believed: three times what it takes to solve it."""


def solve_parallax(tracks: PointTracks, focal_px: float, focal_known: bool) -> Bundle | None:
    """Poses of all frames of `tracks`, one focal length, and the points; None if no reconstruction came about."""
    poses = map_globally(tracks, focal_px)
    return None if poses is None else refine_parallax(tracks, *poses, focal_px, focal_known)


def refine_parallax(tracks: PointTracks, R: np.ndarray, t: np.ndarray, focal_px: float, focal_known: bool) -> Bundle:
    """Triangulate every track anew, then bundle-adjust with ever less patience for outliers."""
    unit = tracks.unit_px
    bundle = bundle_of(tracks, R, t, np.full(len(R), focal_px), translate=True)
    bundle = refine_points(triangulate(bundle), True, 4 * unit)
    focal = "fixed" if focal_known else "shared"
    for scale, iterations in ((4.0, 10), (1.5, 20), (1.0, 40), (None, 40)):
        scale_px = noise_scale_px(bundle, unit) if scale is None else scale * unit
        bundle = adjust(bundle, BundleConfig(True, scale_px, focal, focal_px, iterations=iterations))
        bundle = refine_points(bundle, True, scale_px, 4)
    return bundle


def triangulate(bundle: Bundle) -> Bundle:
    """Points from the cameras' rays: the homogeneous point nearest to all of them, distance by sine of angle.

    Source: Hartley and Zisserman, section 12.2 (linear triangulation), with unit rays.
    """
    rays = np.concatenate(
        [(bundle.xy_px - bundle.centre_px) / bundle.focal_px[bundle.camera, None], np.ones((len(bundle.xy_px), 1))], 1
    )
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    across = np.eye(3) - rays[:, :, None] * rays[:, None, :]
    P = np.concatenate([bundle.R_camera_world, bundle.t_camera_world[:, :, None]], 2)[bundle.camera]
    rows = across @ P
    products = np.einsum("nki,nkj->nij", rows, rows)
    A = np.stack([np.bincount(bundle.point, products[:, i, j], len(bundle.points))
                  for i in range(4) for j in range(4)], 1).reshape(-1, 4, 4)  # fmt: skip
    X = np.linalg.eigh(A)[1][:, :, 0]
    X = np.where(X[:, 3:] < 0, -X, X)
    # Behind the cameras: no depth to be had; such a point starts far away in the direction that was seen.
    ahead = np.einsum("nij,nj->ni", P, X[bundle.point])[:, 2] > 0
    bad = np.bincount(bundle.point, ~ahead, len(X)) > 0
    return replace(bundle, points=np.where(bad[:, None], bundle.points, X))


def map_globally(
    tracks: PointTracks, focal_px: float
) -> tuple[Float[np.ndarray, "frame 3 3"], Float[np.ndarray, "frame 3"]] | None:
    """GLOMAP on the tracks: `R_camera_world` and `t_camera_world` of every frame, or None.

    The focal length is held: our own bundle adjustment frees it, with a prior, where GLOMAP's has none and runs off
    on straight moves. Frames that it leaves out get the pose of their nearest neighbour.

    Source: Pan et al. 2024, Global structure-from-motion revisited, as in pycolmap.
    """
    level = pycolmap.logging.minloglevel
    pycolmap.logging.minloglevel = pycolmap.logging.Level.FATAL.value
    try:
        with temporary_folder("camera") as folder:
            database = folder / "tracks.db"
            pairs = _write_database(database, tracks, focal_px)
            if pairs < tracks.frames - 1:
                return None
            options = pycolmap.GlobalPipelineOptions()
            options.num_threads = 1
            options.random_seed = 0
            options.multiple_models = False
            options.mapper.num_threads = 1
            options.mapper.random_seed = 0
            options.mapper.rotation_averaging.random_seed = 0
            options.mapper.global_positioning.random_seed = 0
            options.mapper.retriangulation.random_seed = 0
            options.mapper.global_positioning.use_gpu = False
            options.mapper.bundle_adjustment.refine_focal_length = False
            options.mapper.ba_num_iterations = 1
            options.mapper.skip_retriangulation = True
            models = pycolmap.global_mapping(str(database), str(folder), str(folder), options)
    finally:
        pycolmap.logging.minloglevel = level
    if not models:
        return None
    return _poses(max(models.values(), key=lambda model: model.num_reg_images()), tracks.frames)


def _pairs(frames: int) -> list[tuple[int, int]]:
    steps = (1, 2, 4, 8, 16, 32)
    return [(a, a + step) for a in range(frames) for step in steps if a + step < frames]


def _write_database(path: Path, tracks: PointTracks, focal_px: float) -> int:
    """Cameras, frames, points and verified pairs; how many pairs there are."""
    database = pycolmap.Database.open(str(path))
    camera = pycolmap.Camera(
        model="SIMPLE_PINHOLE",
        width=tracks.width,
        height=tracks.height,
        params=[focal_px, tracks.width / 2, tracks.height / 2],
        camera_id=1,
    )
    camera.has_prior_focal_length = True
    database.write_camera(camera, use_camera_id=True)
    rig = pycolmap.Rig(rig_id=1)
    rig.add_ref_sensor(camera.sensor_id)
    database.write_rig(rig, use_rig_id=True)
    order = np.lexsort((tracks.track, tracks.frame))
    starts = np.searchsorted(tracks.frame[order], np.arange(tracks.frames + 1))
    seen = []
    for index in range(tracks.frames):
        image = pycolmap.Image(name=f"{index:06d}.png", camera_id=1, image_id=index + 1)
        database.write_image(image, use_image_id=True)
        frame = pycolmap.Frame(frame_id=index + 1, rig_id=1)
        frame.add_data_id(image.data_id)
        database.write_frame(frame, use_frame_id=True)
        here = order[starts[index] : starts[index + 1]]
        database.write_keypoints(index + 1, tracks.xy_px[here].astype(np.float32))
        seen.append((tracks.track[here], tracks.xy_px[here]))
    options = pycolmap.TwoViewGeometryOptions()
    options.ransac.random_seed = 0
    options.ransac.max_error = 2.0 * tracks.unit_px
    options.ransac.max_num_trials = 300
    options.compute_relative_pose = True

    def verified(pair: tuple[int, int]) -> tuple[np.ndarray, pycolmap.TwoViewGeometry] | None:
        """What two frames both see, and how they stand to each other."""
        a, b = pair
        _, in_a, in_b = np.intersect1d(seen[a][0], seen[b][0], assume_unique=True, return_indices=True)
        if len(in_a) < _MIN_MATCHES:
            return None
        matches = np.stack([in_a, in_b], 1).astype(np.uint32)
        geometry = pycolmap.estimate_calibrated_two_view_geometry(
            camera, seen[a][1], camera, seen[b][1], matches, options
        )
        return (matches, geometry) if len(geometry.inlier_matches) >= _MIN_MATCHES else None

    written = 0
    pairs = _pairs(tracks.frames)
    for (a, b), found in zip(pairs, in_order(verified, pairs), strict=True):
        if found is not None:
            matches, geometry = found
            database.write_matches(a + 1, b + 1, matches)
            database.write_two_view_geometry(a + 1, b + 1, geometry)
            written += 1
    database.close()
    return written


def _poses(model: pycolmap.Reconstruction, frames: int) -> tuple[np.ndarray, np.ndarray] | None:
    images = {image.image_id - 1: image for image in model.images.values() if image.has_pose}
    if len(images) < max(3, frames // 2):
        return None
    known: Int[np.ndarray, " known"] = np.array(sorted(images))
    nearest = known[np.abs(np.arange(frames)[:, None] - known).argmin(1)]
    matrices = {index: images[index].cam_from_world().matrix() for index in known}
    P = np.array([matrices[index] for index in nearest])
    return P[:, :, :3], P[:, :, 3]
