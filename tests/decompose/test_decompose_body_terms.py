"""Written-out derivatives against finite differences; kinematics against geometry; fits that go down."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
import walking_actor as actor

from understudy.body.model import BodyModel
from understudy.core.motion import BODY_PARENTS
from understudy.decompose.body.finish import bend_toes, spread_twist
from understudy.decompose.body.initial_pose import initial_pose, observe
from understudy.decompose.body.pose_state import (
    FREEDOMS,
    JOINT,
    POINT,
    SOLES,
    PoseState,
    freedom,
    place,
    pose_jacobian,
    shape_jacobian,
)
from understudy.decompose.body.priors import (
    FOREARM_SHARE,
    SWING_SHARE,
    arm_swing,
    balance,
    pose_prior,
    shared_priors,
    upright,
)
from understudy.decompose.body.terms import (
    Observations,
    SetGround,
    State,
    TermConfig,
    accelerations,
    bone_depths,
    foot_speeds,
    ground_contacts,
    linearise,
    reprojections,
    shared_sizes,
)
from understudy.decompose.body.window import BodyFitConfig, BodyProblem
from understudy.decompose.body.world_frame import T_WORLD_CAMERA, find_support, level_ground
from understudy.geometry.kinematics import forward_kinematics
from understudy.geometry.rotations import matrix_from_vector, quaternion_from_matrix
from understudy.solvers.levenberg_marquardt import LevenbergMarquardt, minimise
from understudy.solvers.normal_equations import normal_equations
from understudy.solvers.residuals import Residuals
from understudy.solvers.unknowns import Unknowns

STEP = 1e-6


@pytest.fixture(scope="module")
def problem() -> tuple[BodyProblem, Observations, State]:
    """A short noisy walk, and a state some way off."""
    points, shape = actor.body_points()
    walk = actor.walk(points, shape, 7)
    camera = actor.film(walk, "parallax")
    track = actor.see(points, shape, walk, camera, 1.0, 2)
    solution = actor.solve(camera, "parallax")
    problem = BodyProblem.of(solution, 1.72, BodyFitConfig())
    seen = observe(track, solution.camera, T_WORLD_CAMERA)
    pose = initial_pose(track, seen, problem.points, problem.expected_shape)
    rng = np.random.default_rng(0)
    up = np.array([0.05, 1.0, -0.1])
    state = State(pose, shape + 0.3 * rng.normal(size=10), -np.inf, 0.1, up / np.linalg.norm(up), 0.02, np.zeros(3))
    state = state.scaled(0.8, seen.camera_position)
    state = state.moved(of_pose(0.03 * rng.normal(size=(7, FREEDOMS))))
    return problem, seen, level_ground(state, problem.place(state), seen)


def of_pose(step: np.ndarray) -> dict[str, np.ndarray]:
    """A step of the pose alone."""
    return {"pose": step} | {name: np.zeros(size) for name, size in shared_sizes(10).items()}


def direction(seed: int) -> dict[str, np.ndarray]:
    """Any step of all unknowns."""
    rng = np.random.default_rng(seed)
    return {"pose": rng.normal(size=(7, FREEDOMS))} | {
        name: rng.normal(size=size) for name, size in shared_sizes(10).items()
    }


def scaled(step: Mapping[str, np.ndarray], factor: float) -> dict[str, np.ndarray]:
    return {name: factor * values for name, values in step.items()}


def test_points_agree_with_forward_kinematics(problem: tuple[BodyProblem, Observations, State]) -> None:
    body, _, state = problem
    placed = body.place(state)
    offsets, _ = body.points.offsets(state.shape)
    q = quaternion_from_matrix(state.pose.R_parent_joint)
    T = forward_kinematics(BODY_PARENTS, offsets, q, state.pose.root_m)
    assert np.allclose(T[..., :3, 3], placed.joints_m)
    assert np.allclose(T[..., :3, :3], placed.R_world_joint)


def test_rest_points_are_the_models(problem: tuple[BodyProblem, Observations, State]) -> None:
    """In the T-pose, joints are where the body model has them, and soles on its lowest level."""
    body, _, _ = problem
    model = BodyModel.load()
    shape = model.shape_for_height(1.8)
    rest = model.joints + model.joint_basis[..., :10] @ shape[:10]
    pose = PoseState(rest[:1], np.tile(np.eye(3), (1, 22, 1, 1)))
    placed = place(body.points, pose, shape[:10])
    assert np.allclose(placed.joints_m[0], rest)
    low = (model.vertices + model.vertex_basis[..., :10] @ shape[:10])[:, 1].min()
    assert np.allclose(placed.points_m[0, [POINT[name] for name in SOLES], 1], low, atol=2e-3)


def test_pose_and_shape_jacobians(problem: tuple[BodyProblem, Observations, State]) -> None:
    body, _, state = problem
    placed = body.place(state)
    step = direction(1)["pose"]
    ahead, behind = (place(body.points, state.pose.moved(s * STEP * step), state.shape).points_m for s in (1, -1))
    assert np.allclose(
        np.einsum("tpif,tf->tpi", pose_jacobian(body.points, placed), step), (ahead - behind) / (2 * STEP), atol=1e-7
    )
    change = np.random.default_rng(2).normal(size=10)
    ahead, behind = (place(body.points, state.pose, state.shape + s * STEP * change).points_m for s in (1, -1))
    assert np.allclose(shape_jacobian(body.points, placed) @ change, (ahead - behind) / (2 * STEP), atol=1e-7)


TERMS = (
    "reprojections", "pose_prior", "ground_contacts", "upright", "balance", "bone_depths", "accelerations",
    "foot_speeds",
)  # fmt: skip
UNKNOWNS = Unknowns(7, {"pose": FREEDOMS}, shared_sizes(10))


def residuals_of(name: str, body: BodyProblem, seen: Observations, state: State, support) -> list[Residuals]:
    config, lin = TermConfig(), linearise(body.points, state)
    made = {
        "reprojections": lambda: [reprojections(seen, state, lin, config)],
        "bone_depths": lambda: [bone_depths(seen, state, lin, config)],
        "pose_prior": lambda: list(pose_prior(state, config)),
        "ground_contacts": lambda: list(ground_contacts(state, lin, support.grounded, config)),
        "upright": lambda: upright(state, lin, config),
        "balance": lambda: [balance(state, lin, support, config)],
        "accelerations": lambda: [accelerations(seen, lin, config)],
        "foot_speeds": lambda: [foot_speeds(seen, lin, support.planted, config)],
    }  # fmt: skip
    return made[name]()


@pytest.mark.parametrize("name", TERMS)
def test_gradients_of_terms(name: str, problem: tuple[BodyProblem, Observations, State]) -> None:
    """The slope of a term's cost along any direction is that of its residuals and Jacobians."""
    body, seen, state = problem
    support = find_support(body.place(state), state, seen)
    # Depths hold the ray and the bones' lengths, uprightness the body's length, for the time of a step.
    tolerance = {"bone_depths": 5e-2, "upright": 2e-2}.get(name, 2e-4)
    check_gradient(lambda s: residuals_of(name, body, seen, s, support), state, tolerance)


def check_gradient(residuals: Callable[[State], list[Residuals]], state: State, tolerance: float) -> None:
    equations = normal_equations(UNKNOWNS, residuals(state))
    for seed in range(3):
        step = direction(seed)
        cost = [sum(term.cost for term in residuals(state.moved(scaled(step, s * STEP)))) for s in (1, -1)]
        slope = (cost[0] - cost[1]) / (2 * STEP)
        shared = np.concatenate([step[name] for name in UNKNOWNS.shared])
        parts = equations.gradient * step["pose"], equations.gradient_shared * shared
        predicted = 2 * float(sum(part.sum() for part in parts))
        assert abs(slope - predicted) < tolerance * 2 * float(sum(np.abs(part).sum() for part in parts))


def test_gradients_of_priors(problem: tuple[BodyProblem, Observations, State]) -> None:
    body, seen, state = problem
    up = np.array([0.0, 1.0, 0.02])
    ground = SetGround(0.5, 0.05, up / np.linalg.norm(up))
    config = TermConfig()
    check_gradient(
        lambda s: [*shared_priors(seen, s, body.expected_shape, body.height_slope, ground, config)], state, 2e-4
    )


def standing(thigh_rad: float, arm_rad: float) -> State:
    """Upright, arms down; the left thigh lifted forwards and the left arm swung forwards by so much."""
    R = np.tile(np.eye(3), (1, 22, 1, 1))
    x, z = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])
    for side, sign in (("Left", -1.0), ("Right", 1.0)):
        R[:, JOINT[f"{side}Arm"]] = matrix_from_vector(sign * 0.5 * np.pi * z)
    R[:, JOINT["LeftArm"]] = matrix_from_vector(-arm_rad * x) @ R[:, JOINT["LeftArm"]]
    R[:, JOINT["LeftUpLeg"]] = matrix_from_vector(-thigh_rad * x)
    _, shape = actor.body_points()
    return State(PoseState(np.zeros((1, 3)), R), shape, 0.0, 0.0, np.array([0.0, 1.0, 0.0]), 0.0, np.zeros(3))


def test_hanging_arms_swing_against_the_legs() -> None:
    points, _ = actor.body_points()
    config = TermConfig()
    lean = 0.5
    against = -np.arcsin(SWING_SHARE * np.sin(lean))
    left = []
    for thigh_rad, arm_rad in ((0.0, 0.0), (lean, against), (lean, -against), (-lean, -against), (1.5, 0.0)):
        state = standing(thigh_rad, arm_rad)
        rows = arm_swing(state, linearise(points, state), config)
        left.append((float(rows.value[0, 0, 0]) * config.swing_sigma, float(rows.weight[0, 0])))
    (still, _), (opposite, weight), (alike, _), (back, _), (_, sitting) = left
    # The landmark model's shoulders and hips are not quite over its elbows and knees.
    assert max(abs(still), abs(opposite), abs(back)) < 0.1 and weight > 0.2
    assert alike - opposite == pytest.approx(2 * SWING_SHARE * np.sin(lean), rel=0.1)
    assert sitting < 1e-3


def test_hanging_forearms_swing_ahead_of_their_arms() -> None:
    points, _ = actor.body_points()
    config, ahead = TermConfig(), []
    for arm_rad in (-0.3, 0.3):
        state = standing(0.0, arm_rad)
        ahead.append(float(arm_swing(state, linearise(points, state), config).value[0, 1, 0]) * config.swing_sigma)
    # The elbow is straight here: the forearm lacks as much as the upper arm swings.
    assert ahead[1] - ahead[0] == pytest.approx(2 * (1 - FOREARM_SHARE) * np.sin(0.3), rel=0.1)


def test_derivatives_of_the_arms_swing() -> None:
    points, _ = actor.body_points()
    state, config = standing(0.4, 0.2), TermConfig()
    rows = arm_swing(state, linearise(points, state), config)
    for name in ("LeftUpLeg.x", "LeftArm.x", "LeftArm.z", "LeftForeArm.y", "RightArm.x"):
        step = np.zeros((1, FREEDOMS))
        step[0, freedom(name)] = 1.0
        values = [
            arm_swing(moved, linearise(points, moved), config).value[0, :, 0]
            for moved in (state.moved(of_pose(sign * STEP * step)) for sign in (1, -1))
        ]
        numeric = (values[0] - values[1]) / (2 * STEP)
        # Bones keep their length; as landmarks have it, not exactly.
        by_pose = rows.derivatives["pose"]
        assert np.allclose(by_pose[0, :, 0] @ step[0], numeric, atol=0.05 * np.abs(by_pose).max())


def test_fitting_goes_down(problem: tuple[BodyProblem, Observations, State]) -> None:
    body, seen, state = problem
    config = TermConfig()

    def residuals(state: State) -> list[Residuals]:
        lin = linearise(body.points, state)
        return [
            *shared_priors(seen, state, body.expected_shape, body.height_slope, None, config),
            reprojections(seen, state, lin, config),
            *pose_prior(state, config),
            accelerations(seen, lin, config),
        ]

    before = sum(term.cost for term in residuals(state))
    found = minimise(UNKNOWNS, state, residuals, State.moved, LevenbergMarquardt(15, 1e-3))
    assert found.cost < 0.3 * before
    R = found.state.pose.R_parent_joint
    assert np.allclose(R @ np.swapaxes(R, -1, -2), np.eye(3))


def test_toes_bend_when_the_heel_lifts(problem: tuple[BodyProblem, Observations, State]) -> None:
    """On the ball of the foot, toes are bent up by as much as the heel lifts; flat, they are straight."""
    body, _, _ = problem
    shape = body.expected_shape
    tilt = np.linspace(0.0, 0.6, 7)
    R = np.tile(np.eye(3), (7, 22, 1, 1))
    R[:, JOINT["LeftFoot"]] = matrix_from_vector(np.stack([tilt, 0 * tilt, 0 * tilt], 1))
    pose = PoseState(np.zeros((7, 3)), R)
    ball = place(body.points, pose, shape).points_m[:, POINT["left_ball_sole"]]
    pose = replace(pose, root_m=-ball)
    state = State(pose, shape, 0.0, 0.0, np.array([0.0, 1.0, 0.0]), 0.0, np.zeros(3))
    bent = bend_toes(body, state)
    toe = 2 * np.arcsin(np.abs(quaternion_from_matrix(bent.R_parent_joint[:, JOINT["LeftToeBase"]])[:, 1]))
    assert toe[0] < 0.06
    assert np.allclose(toe[2:-1], tilt[2:-1], atol=0.12)


def test_spread_twist_keeps_the_hand(problem: tuple[BodyProblem, Observations, State]) -> None:
    body, _, state = problem
    R = state.pose.R_parent_joint.copy()
    R[:, JOINT["LeftHand"]] = matrix_from_vector(np.tile([0.8, 0.1, -0.2], (7, 1)))
    before = place(body.points, PoseState(state.pose.root_m, R), state.shape)
    after = place(body.points, spread_twist(PoseState(state.pose.root_m, R)), state.shape)
    assert np.allclose(before.R_world_joint[:, JOINT["LeftHand"]], after.R_world_joint[:, JOINT["LeftHand"]])
    assert np.allclose(before.joints_m, after.joints_m)
    turned = before.R_world_joint[:, JOINT["LeftForeArm"]] - after.R_world_joint[:, JOINT["LeftForeArm"]]
    assert np.abs(turned).max() > 0.2


def test_knee_freedom_bends_the_knee_backwards(problem: tuple[BodyProblem, Observations, State]) -> None:
    body, _, _ = problem
    pose = PoseState(np.zeros((1, 3)), np.tile(np.eye(3), (1, 22, 1, 1)))
    step = np.zeros((1, FREEDOMS))
    step[0, freedom("LeftLeg.x")] = 0.5
    moved = place(body.points, pose.moved(step), body.expected_shape).points_m[0]
    rest = place(body.points, pose, body.expected_shape).points_m[0]
    change = moved - rest
    assert change[POINT["left_ankle"], 2] < -0.1
    assert np.allclose(change[POINT["right_ankle"]], 0.0) and np.allclose(change[POINT["left_hip"]], 0.0)
