"""The body fit finds a known walk again: pose, gravity, ground, scale, contact; sides, gaps and windows."""

from dataclasses import replace

import numpy as np
import pytest
import walking_actor as actor

from understudy.core.footage import LANDMARKS, LandmarkTrack
from understudy.core.motion import BODY_PARENTS
from understudy.decompose.body.fit import ActorFit, BodyFitConfig, fit_actor
from understudy.decompose.body.pose_state import POINT, SOLES, PoseState, place
from understudy.geometry.kinematics import forward_kinematics
from understudy.geometry.rigid import invert, transform
from understudy.geometry.rotations import matrix_from_quaternion

LEFT = [i for i, name in enumerate(LANDMARKS) if "left" in name]
RIGHT = [LANDMARKS.index(LANDMARKS[i].replace("left", "right")) for i in LEFT]


def fitted_points(fit: ActorFit) -> np.ndarray:
    points, _ = actor.body_points()
    pose = PoseState(fit.motion.root_position_m, matrix_from_quaternion(fit.motion.q_parent_joint))
    return place(points, pose, fit.shape[:10]).points_m


def error_mm(fit: ActorFit, pose: PoseState, camera) -> np.ndarray:
    """Root-aligned distances of the main points in the cameras' frames, for each frame."""
    points, shape = actor.body_points()
    names = ("Neck", "Head", *(f"{s}_{p}" for s in ("left", "right")
                               for p in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")))  # fmt: skip
    which = [POINT[name] for name in names]
    found = transform(invert(fit.camera.T_world_camera), fitted_points(fit))
    true = transform(invert(camera.T_world_camera), place(points, pose, shape).points_m)
    hips = POINT["Hips"]
    off = (found[:, which] - found[:, [hips]]) - (true[:, which] - true[:, [hips]])
    return 1000 * np.linalg.norm(off, axis=-1).mean(1)


@pytest.fixture(scope="module")
def walk() -> PoseState:
    points, shape = actor.body_points()
    return actor.walk(points, shape, 72)


@pytest.mark.parametrize("move", ["static", "rotation", "parallax"])
def test_noisy_walk_is_found(walk: PoseState, move: str) -> None:
    points, shape = actor.body_points()
    camera = actor.film(walk, move)
    solution = actor.solve(camera, move)
    fit = fit_actor(actor.see(points, shape, walk, camera, 1.0, 1), solution, 1.72)
    assert error_mm(fit, walk, camera).mean() < 60
    assert fit.diagnostics["reprojection_share"] < 0.015
    assert fit.body.height_m == pytest.approx(1.72, abs=0.02)
    # Gravity: the world's +Y in the first camera, found and true.
    up_found, up_true = fit.camera.T_world_camera[0, 1, :3], camera.T_world_camera[0, 1, :3]
    assert np.degrees(np.arccos(up_found @ up_true)) < 4.0
    assert abs(fit.camera.position[0, 1] - camera.position[0, 1]) < 0.25
    # Over the origin in the first frame, feet on the ground, standing feet still.
    assert np.allclose(fit.motion.root_position_m[0, [0, 2]], 0.0, atol=1e-9)
    soles = fitted_points(fit)[:, [POINT[name] for name in SOLES]]
    assert soles[..., 1].min() > -0.04
    assert np.abs(soles[..., 1].min(1)).mean() < 0.02
    stands = np.repeat(fit.ground_contact, 2, axis=1)
    stands = stands[1:] & stands[:-1]
    speed = np.linalg.norm(np.diff(soles, axis=0), axis=-1) * actor.FRAME_RATE
    slower = np.minimum(speed[:, ::2], speed[:, 1::2])[stands[:, ::2]]
    assert stands.mean() > 0.3
    assert slower.mean() < 0.05
    # As far as the true walker went, and the camera too.
    far = np.linalg.norm(fit.motion.root_position_m[-1] - fit.motion.root_position_m[0])
    assert far == pytest.approx(np.linalg.norm(walk.root_m[-1] - walk.root_m[0]), rel=0.15)
    if move == "parallax":
        path = np.linalg.norm(fit.camera.position[-1] - fit.camera.position[0])
        assert path == pytest.approx(np.linalg.norm(camera.position[-1] - camera.position[0]), rel=0.06)
        # The set's points come along: in metres, the ground's on the ground.
        path_m = transform(fit.T_world_solution, solution.camera.position)
        assert path_m == pytest.approx(fit.camera.position, abs=1e-9)
        set_m = transform(fit.T_world_solution, solution.points)
        true_m = transform(camera.T_world_camera[0], solution.points / actor.UNIT)
        # Without the farthest: these are the least sure.
        spans_m = [np.diff(np.percentile(points_m, (10, 90), axis=0), axis=0)[0] for points_m in (set_m, true_m)]
        assert spans_m[0] == pytest.approx(spans_m[1], rel=0.15)
        assert np.median(np.abs(set_m[np.abs(true_m[:, 1]) < 0.05, 1])) < 0.2


def test_clean_landmarks_are_hit(walk: PoseState) -> None:
    points, shape = actor.body_points()
    camera = actor.film(walk, "static")
    fit = fit_actor(actor.see(points, shape, walk, camera, 0.0, 0), actor.solve(camera, "static"), 1.72)
    assert np.nanmedian(fit.reprojection_px) < 2.0
    assert error_mm(fit, walk, camera).mean() < 45


def test_motion_is_on_the_bodys_skeleton(walk: PoseState) -> None:
    """What the fit hands over poses the same points as the fit itself saw: io and render use nothing else."""
    points, shape = actor.body_points()
    camera = actor.film(walk, "static")
    fit = fit_actor(actor.see(points, shape, walk, camera, 0.0, 0), actor.solve(camera, "static"), 1.72)
    offsets = fit.motion.skeleton.T_parent_joint[:, :3, 3]
    T = forward_kinematics(BODY_PARENTS, offsets, fit.motion.q_parent_joint, fit.motion.root_position_m)
    hips, head = POINT["Hips"], POINT["Head"]
    assert np.allclose(T[:, 0, :3, 3], fitted_points(fit)[:, hips])
    assert np.allclose(T[:, 5, :3, 3], fitted_points(fit)[:, head], atol=1e-6)
    assert fit.motion.skeleton.names == fit.body.skeleton.names


def test_exchanged_sides_and_gaps(walk: PoseState) -> None:
    """Sides exchanged for a few frames, some frames lost and wild landmarks change the result only a little."""
    points, shape = actor.body_points()
    camera = actor.film(walk, "static")
    clean = actor.see(points, shape, walk, camera, 0.5, 3)
    px, guess, seen = clean.landmarks_px.copy(), clean.landmarks_m.copy(), clean.seen.copy()
    for values in (px, guess):
        values[30:33, LEFT + RIGHT] = values[30:33, RIGHT + LEFT]
    seen[50:56] = False
    px[50:56] = px[49]
    px[20, 15] += 80.0
    visibility = np.where(seen[:, None], clean.visibility, 0.0)
    track = replace(clean, landmarks_px=px, landmarks_m=guess, seen=seen, visibility=visibility)
    fit = fit_actor(track, actor.solve(camera, "static"), 1.72)
    error = error_mm(fit, walk, camera)
    assert fit.diagnostics["exchanged_sides"] >= 3
    assert error.mean() < 60
    assert error[28:36].max() < 110
    assert error[50:56].max() < 130
    turned = np.abs(np.diff(fit.motion.q_parent_joint[:, 0], axis=0)).max()
    assert turned < 0.1  # never spins round


def test_windows_join(walk: PoseState) -> None:
    points, shape = actor.body_points()
    camera = actor.film(walk, "rotation")
    track = actor.see(points, shape, walk, camera, 0.5, 4)
    solution = actor.solve(camera, "rotation")
    parts = fit_actor(track, solution, 1.72, config=BodyFitConfig(window_frames=32, overlap_frames=8))
    assert error_mm(parts, walk, camera).mean() < 60
    steps = np.linalg.norm(np.diff(parts.motion.root_position_m, axis=0), axis=1)
    assert steps.max() < 3.0 * np.median(steps) + 0.02
    assert np.isfinite(parts.reprojection_px).all()


def test_hidden_legs_stand(walk: PoseState) -> None:
    """Of a person whose legs are below the picture, legs stay straight and on the ground."""
    points, shape = actor.body_points()
    camera = actor.film(walk, "static")
    crop = replace(camera, height=int(camera.height * 0.45))
    track = actor.see(points, shape, walk, camera, 0.5, 5)
    below = track.landmarks_px[..., 1] > crop.height
    assert below[:, [25, 26, 27, 28]].mean() > 0.95
    rng = np.random.default_rng(0)
    px = track.landmarks_px + below[..., None] * 60.0 * rng.normal(size=track.landmarks_px.shape)
    hidden = replace(track, landmarks_px=px, visibility=np.where(below, 0.2, track.visibility))
    fit = fit_actor(hidden, replace(actor.solve(camera, "static"), camera=replace(actor.solve(camera, "static").camera,
                                                                               height=crop.height)), 1.72)  # fmt: skip
    soles = fitted_points(fit)[:, [POINT[name] for name in SOLES]]
    knees = 2 * np.arccos(np.clip(np.abs(fit.motion.q_parent_joint[:, [15, 19], 0]), 0, 1))
    assert np.abs(soles[..., 1].min(1)).mean() < 0.08
    assert np.median(knees) < 0.7


def test_unusable_tracks_are_refused(walk: PoseState) -> None:
    points, shape = actor.body_points()
    camera = actor.film(walk, "static")
    track = actor.see(points, shape, walk, camera, 0.0, 0)
    solution = actor.solve(camera, "static")
    with pytest.raises(ValueError, match="in no frame"):
        fit_actor(replace(track, seen=np.zeros(len(track), bool)), solution)
    fields = ("seen", "visibility", "landmarks_px", "landmarks_m")
    shorter = LandmarkTrack(**{name: getattr(track, name)[:-1] for name in fields})
    with pytest.raises(ValueError, match="frames of landmarks"):
        fit_actor(shorter, solution)
