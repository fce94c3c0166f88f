"""The camera re-fit: exact derivatives, the laws of what must not change, and framing that comes back."""

from dataclasses import replace

import numpy as np
import pytest
from stick_people import cameras, film_camera, scaled_character, stick_character, walk

from understudy.cinematography.body_proxy import BodyProxy, body_proxy, common_roles, foot_contact
from understudy.cinematography.camera_fit import CameraFitConfig, PointCameraFitter, fit_camera
from understudy.cinematography.fit_problem import FitProblem, FitWeights, Offsets
from understudy.cinematography.fit_terms import UNKNOWNS, FitCamera, picture_of
from understudy.cinematography.plate_camera import PlateCamera
from understudy.geometry.projection import project
from understudy.geometry.rigid import transform
from understudy.geometry.rotations import matrix_from_vector, rotation_angle
from understudy.solvers.normal_equations import normal_equations
from understudy.solvers.unknowns import Unknowns

FRAMES = 40
ACTOR = stick_character()
CHILD = stick_character(leg=0.5, trunk=0.65, head=0.9)
CHIBI = stick_character(leg=0.4, trunk=0.6, head=1.4, girth=1.3)
GIANT = stick_character(leg=1.55, trunk=1.4, head=1.1)


@pytest.fixture(scope="module")
def actor():
    return walk(ACTOR, FRAMES, 1.0)


def small_problem(frames: int = 5) -> tuple[FitProblem, Offsets]:
    """A child under an actor's camera, with offsets that are not small."""
    rng = np.random.default_rng(0)
    performances = walk(ACTOR, frames, 1.0), walk(CHILD, frames, 0.5)
    roles = common_roles(ACTOR, CHILD)
    bodies = [body_proxy(p, roles) for p in performances]
    camera = cameras(performances[0])["parallax"]
    focal, centre = np.tile([900.0, 910.0], (frames, 1)), np.tile([640.0, 360.0], (frames, 1))
    views = [
        FitCamera(camera.T_world_camera[:, :3, :3], camera.position * s, focal, centre, 0.1, 5.0 * s) for s in (1, 0.5)
    ]
    height = np.full(frames, 250.0)
    problem = FitProblem(
        body=bodies[1],
        base=views[1],
        target=picture_of(bodies[0], views[0], height),
        height_px=height,
        point_weight=rng.uniform(0.01, 0.05, (frames, len(roles) + 2)),
        outline_weight=rng.uniform(0.1, 0.2, (frames, 6)),
        frame_rate=2.0,
        weights=FitWeights(),
    )
    turns = matrix_from_vector(rng.normal(0, 0.1, (frames, 3)))
    return problem, Offsets(turns, rng.normal(0, 0.05, (frames, 3)), rng.normal(0, 0.05, frames))


def test_projection_derivatives_equal_finite_differences():
    problem, offsets = small_problem()
    picture = picture_of(problem.body, problem.view(offsets), problem.height_px)
    step = 1e-6
    for block, size in UNKNOWNS.items():
        for unknown in range(size):
            move = one_step(5, block, (slice(None), unknown), step)
            pictures = [
                picture_of(problem.body, problem.view(offsets.moved(scaled(move, sign))), problem.height_px)
                for sign in (1, -1)
            ]
            for name, by in (("points_px", picture.by_points), ("outline_px", picture.by_outline)):
                ahead, behind = (getattr(each, name) for each in pictures)
                numeric = (ahead - behind) / (2 * step)
                scale = np.abs(numeric).max()
                assert np.abs(numeric - by[block][..., unknown]).max() < 1e-5 * scale, (name, block, unknown)


def one_step(frames: int, block: str, where: tuple, size: float) -> dict[str, np.ndarray]:
    """A step of one unknown."""
    step = {name: np.zeros((frames, count)) for name, count in UNKNOWNS.items()}
    step[block][where] = size
    return step


def scaled(step: dict[str, np.ndarray], factor: float) -> dict[str, np.ndarray]:
    return {name: factor * values for name, values in step.items()}


def test_the_gradient_of_the_whole_cost_equals_finite_differences():
    problem, offsets = small_problem()
    equations = normal_equations(Unknowns(5, UNKNOWNS), problem.residuals(offsets))
    step = 1e-5

    def cost(offsets: Offsets) -> float:
        return sum(term.cost for term in problem.residuals(offsets))

    numeric = []
    for block, size in UNKNOWNS.items():
        for unknown in range(size):
            moves = [one_step(5, block, (frame, unknown), step) for frame in range(5)]
            slopes = [cost(offsets.moved(move)) - cost(offsets.moved(scaled(move, -1))) for move in moves]
            numeric.append(np.array(slopes) / (2 * step))
    numeric = np.stack(numeric, 1)
    assert np.abs(numeric - 2 * equations.gradient).max() < 1e-5 * np.abs(numeric).max()


@pytest.mark.parametrize("move", ["static", "rotation", "parallax"])
def test_the_same_body_keeps_its_camera(actor, move):
    camera = cameras(actor)[move]
    fit = fit_camera(actor, actor, camera, move)
    assert np.abs(fit.camera.T_world_camera - camera.T_world_camera).max() < 1e-6
    assert (fit.camera.K == camera.K).all()
    assert fit.after.keypoint_error.max() < 1e-9 and fit.world_scale == pytest.approx(1.0)


@pytest.mark.parametrize("scale", [0.5, 1.5])
@pytest.mark.parametrize("move", ["static", "rotation", "parallax"])
def test_a_larger_world_gets_its_camera_at_larger_positions(actor, move, scale):
    camera = cameras(actor)[move]
    fit = fit_camera(actor, walk(scaled_character(ACTOR, scale), FRAMES, scale), camera, move)
    expected = camera.T_world_camera.copy()
    expected[:, :3, 3] *= scale
    assert np.abs(fit.camera.T_world_camera - expected).max() < 1e-6
    assert fit.before.box_height_error.mean() > 0.3 and fit.after.box_height_error.max() < 1e-9


@pytest.mark.parametrize("move", ["static", "rotation", "parallax"])
def test_the_plates_camera_sees_the_larger_world_as_before(actor, move):
    """Whatever the body's proportions: every place of the set stays where the plate shows it."""
    camera, understudy = cameras(actor)[move], walk(CHIBI, FRAMES, 0.7)
    fit = PlateCamera().build()(actor, understudy, camera, move, 0.7)
    places = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, -2.0], [-1.5, 1.0, 0.5], [0.3, 2.0, -4.0]])
    for frame in (0, FRAMES - 1):
        before, after = (
            project(path.K[frame], transform(path.T_camera_world[frame], scale * places))
            for path, scale in ((camera, 1.0), (fit.camera, 0.7))
        )
        assert np.abs(after - before).max() < 1e-6
    assert fit.world_scale == 0.7 and (fit.camera.K == camera.K).all()
    assert fit.after.foot_error.max() == fit.scaled.foot_error.max() < fit.before.foot_error.max()


@pytest.mark.parametrize("body", ["child", "chibi", "giant"])
@pytest.mark.parametrize("move", ["static", "rotation", "parallax"])
def test_new_bodies_fill_the_frame_as_the_actor_did(actor, move, body):
    character, path_scale = {"child": (CHILD, 0.5), "chibi": (CHIBI, 0.4), "giant": (GIANT, 1.55)}[body]
    fit = fit_camera(actor, walk(character, FRAMES, path_scale), cameras(actor)[move], move)
    before, scaled, after = (
        {n: getattr(f, n).mean() for n in ("keypoint_error", "box_centre_error", "box_height_error", "foot_error")}
        for f in (fit.before, fit.scaled, fit.after)
    )
    for name in before:
        assert after[name] < 0.5 * before[name]
    assert after["box_height_error"] < 0.6 * scaled["box_height_error"]
    assert after["box_centre_error"] < 0.7 * scaled["box_centre_error"]
    assert after["foot_error"] < 0.04


def test_a_static_camera_stays_static(actor):
    fit = fit_camera(actor, walk(CHIBI, FRAMES, 0.4), cameras(actor)["static"], "static")
    assert np.ptp(fit.camera.T_world_camera, axis=0).max() < 1e-12


def test_a_turning_camera_keeps_one_place(actor):
    camera = cameras(actor)["rotation"]
    fit = fit_camera(actor, walk(CHIBI, FRAMES, 0.4), camera, "rotation")
    assert np.ptp(fit.camera.position, axis=0).max() < 1e-12
    assert np.ptp(camera.T_world_camera[:, 0, 0]) > 1e-3


@pytest.mark.parametrize("move", ["static", "rotation", "parallax"])
def test_the_move_stays_smooth_and_the_horizon_level(actor, move):
    camera = cameras(actor)[move]
    fit = fit_camera(actor, walk(CHIBI, FRAMES, 0.4), camera, move)
    offset = fit.camera.position - camera.position * fit.world_scale
    turn = np.swapaxes(camera.T_world_camera[:, :3, :3], 1, 2) @ fit.camera.T_world_camera[:, :3, :3]
    assert np.abs(np.diff(offset, 2, axis=0)).max() < 0.002
    assert rotation_angle(np.swapaxes(turn[:-1], 1, 2) @ turn[1:]).max() < np.deg2rad(0.5)
    roll = np.arctan2(fit.camera.T_world_camera[:, 1, 0], -fit.camera.T_world_camera[:, 1, 1])
    assert np.abs(roll).max() < np.deg2rad(1.0)
    pitch = np.arcsin(fit.camera.T_world_camera[:, 1, 2]) - np.arcsin(camera.T_world_camera[:, 1, 2])
    assert np.abs(pitch).max() < np.deg2rad(3.0)


@pytest.mark.parametrize("move", ["static", "rotation", "parallax"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_converges_from_fifteen_degrees_and_a_metre(actor, move, seed):
    rng = np.random.default_rng(seed)
    axis, way = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
    camera = cameras(actor)[move]
    understudy = walk(CHILD, FRAMES, 0.5)
    direct = fit_camera(actor, understudy, camera, move)
    T = direct.camera.T_world_camera.copy()
    T[:, :3, :3] = T[:, :3, :3] @ matrix_from_vector(axis * np.deg2rad(15.0))
    T[:, :3, 3] += way
    away = fit_camera(actor, understudy, camera, move, start=replace(camera, T_world_camera=T))
    assert np.abs(away.camera.T_world_camera - direct.camera.T_world_camera).max() < 5e-3
    assert away.after.keypoint_error.mean() == pytest.approx(direct.after.keypoint_error.mean(), abs=1e-3)


def test_framing_is_what_it_says(actor):
    """Beside a projection by hand: a camera that is turned so that everything moves by a known part of the height."""
    camera = cameras(actor)["static"]
    fit = fit_camera(actor, walk(GIANT, FRAMES, 1.55), camera, "static")
    roles = common_roles(ACTOR, GIANT)
    bodies = body_proxy(actor, roles), body_proxy(walk(GIANT, FRAMES, 1.55), roles)
    a, b = (project(camera.K, transform(camera.T_camera_world, body.joints)) for body in bodies)
    surface = project(camera.K, transform(camera.T_camera_world, bodies[0].surface))
    expected = np.linalg.norm(a - b, axis=-1).mean(1) / np.ptp(surface[..., 1], axis=1)
    assert fit.before.keypoint_error == pytest.approx(expected)


def test_feet_that_stand_are_told_from_feet_that_swing_or_slide():
    """The left foot stands, then swings through the air; the right one slides over the ground."""
    still, step = np.zeros(12), np.arange(1, 13) * 0.05
    left = np.stack([np.zeros(24), np.zeros(24), np.r_[still, step]], 1)
    right = np.stack([np.full(24, 0.3), np.zeros(24), np.arange(24) * 0.05], 1)
    lift = np.r_[still, np.full(12, 0.2)]
    head = np.tile([0.15, 1.7, 0.0], (24, 1))
    surface = np.stack([left + lift[:, None] * [0.0, 1.0, 0.0], right, head], 1)
    contact = foot_contact(BodyProxy(head[:, None], np.stack([left, right], 1), surface), 24.0)
    assert (contact[:11, 0] > 0.95).all() and (contact[13:, 0] < 0.01).all()
    assert (contact[:, 1] < 0.05).all()


def test_standing_feet_stay_on_their_spot():
    actor, understudy = walk(ACTOR, FRAMES, 1.0, speed=0.0, stride=0.0), walk(CHIBI, FRAMES, 0.4, speed=0.0, stride=0.0)
    camera = cameras(actor)["static"]
    with_feet = fit_camera(actor, understudy, camera, "static")
    without = fit_camera(actor, understudy, camera, "static", CameraFitConfig(standing_foot=0.0))
    assert 0 < with_feet.after.foot_error.mean() < 0.7 * without.after.foot_error.mean()


def test_the_focal_length_changes_only_on_request(actor):
    understudy, camera = walk(CHIBI, FRAMES, 0.4), cameras(actor)["static"]
    assert (fit_camera(actor, understudy, camera, "static").camera.K == camera.K).all()
    free = fit_camera(actor, understudy, camera, "static", CameraFitConfig(free_focal=True)).camera.K
    assert np.ptp(free, axis=0).max() < 1e-9 and free[0, 0, 0] < camera.K[0, 0, 0] - 1.0
    assert (free[:, :2, 2] == camera.K[:, :2, 2]).all()


def test_an_actor_who_passes_the_camera_does_no_harm(actor):
    hips = actor.motion.root_position_m
    position = np.tile(hips[FRAMES // 2] + [0.5, 0.4, 0.0], (FRAMES, 1))
    camera = film_camera(position, position + [-0.5, 0.0, -2.0])
    fit = fit_camera(actor, walk(CHILD, FRAMES, 0.5), camera, "static")
    assert np.isfinite(fit.camera.T_world_camera).all() and fit.after.keypoint_error.max() <= 10.0
    assert np.median(fit.after.keypoint_error) < np.median(fit.before.keypoint_error)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_very_short_shots_are_fitted(frames):
    actor = walk(ACTOR, frames, 1.0)
    fit = fit_camera(actor, walk(CHILD, frames, 0.5), cameras(actor)["parallax"], "parallax")
    assert fit.after.box_height_error.max() < fit.before.box_height_error.min()


def test_other_skeletons_need_only_some_parts_in_common(actor):
    parts = {k: v for k, v in CHILD.roles.items() if k in ("Hips", "Head", "LeftUpLeg", "RightUpLeg", "LeftHand")}
    fit = fit_camera(actor, walk(replace(CHILD, roles=parts), FRAMES, 0.5), cameras(actor)["static"], "static")
    assert fit.after.box_height_error.mean() < 0.1
    with pytest.raises(ValueError, match="share only"):
        fit_camera(actor, walk(replace(CHILD, roles={"Hips": 0}), FRAMES, 0.5), cameras(actor)["static"], "static")


def test_lengths_must_agree(actor):
    with pytest.raises(ValueError, match="understudy for 39"):
        fit_camera(actor, walk(CHILD, FRAMES - 1, 0.5), cameras(actor)["static"], "static")


def test_the_default_backend_builds_and_tells_its_progress(actor):
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))

    fit = PointCameraFitter().build()(
        actor, walk(CHILD, FRAMES, 0.5), cameras(actor)["rotation"], "rotation", None, progress
    )
    assert fit.iterations > 0 and told[-1][0] == told[-1][1]
    assert [done for done, _ in told] == sorted(done for done, _ in told)
