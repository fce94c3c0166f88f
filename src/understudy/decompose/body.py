"""Fits the body model to one person's landmarks over a whole shot, in one metric world with the camera."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from understudy.body.model import BodyModel
from understudy.core.camera import CameraPath
from understudy.core.character import Character
from understudy.core.footage import CameraSolution, LandmarkTrack
from understudy.core.motion import Motion
from understudy.core.progress import Progress, silent
from understudy.decompose.align import (
    T_WORLD_CAMERA,
    camera_in_world,
    find_support,
    ground_of_set,
    level_ground,
    motion_in_world,
    standing_feet,
    start_scale,
)
from understudy.decompose.body_pose import POINT, SOLES, BodyPoints, PlacedBody, Pose, place
from understudy.decompose.body_solver import Objective, minimise
from understudy.decompose.body_start import exchange_sides, observe, start_pose
from understudy.decompose.body_terms import (
    EXTRA,
    Linearised,
    Observations,
    Rows,
    SetGround,
    State,
    Support,
    TermConfig,
    accelerations,
    balance,
    bone_depths,
    foot_speeds,
    ground_contacts,
    pose_prior,
    project_landmarks,
    reprojections,
    shared_priors,
    upright,
)

__all__ = ["ActorFit", "BodyFitConfig", "fit_actor"]


@dataclass(frozen=True)
class BodyFitConfig:
    """How the body is fitted."""

    expected_height_m: float = 1.7
    """Of an adult; used where the user does not say how tall the actor is."""
    components: int = 10
    """How many shape components may change."""
    terms: TermConfig = field(default_factory=TermConfig)
    smooth_iterations: int = 6
    """Steps of a first, very smooth fit, which shows where left and right were exchanged."""
    free_iterations: int = 10
    """Steps without a ground."""
    ground_rounds: int = 4
    """How often standing feet are found anew."""
    ground_iterations: int = 4
    """Steps in each of these rounds."""
    firm_iterations: int = 4
    """Steps that make standing feet stand firmly, at the end."""


@dataclass(frozen=True)
class ActorFit:
    """An actor's body and how it moves, with the camera, in one metric +Y-up world."""

    body: Character
    shape: Float[np.ndarray, " component"]
    motion: Motion
    ground_contact: Bool[np.ndarray, "time 2"]
    """Whether the left and the right foot stands."""
    camera: CameraPath
    reprojection_px: Float[np.ndarray, " time"]
    """Median distance of the trusted landmarks from the body's, in each frame; NaN where nobody was seen."""
    diagnostics: dict[str, float]
    """height_m; reprojection_share (of the person's height in the picture, median); exchanged_sides (limbs × frames);
    landmark_lean_rad (how far the landmark model leans bodies); contact_share."""


def fit_actor(
    track: LandmarkTrack,
    solution: CameraSolution,
    height_m: float | None = None,
    mask: Path | None = None,
    config: BodyFitConfig | None = None,
    progress: Progress = silent,
) -> ActorFit:
    """The body, its motion and the camera in one metric world: +Y up, ground at y = 0, first root over the origin.

    Args:
        height_m: how tall the actor is; sets the scale of everything. None: an adult of usual height.
    """
    config = config or BodyFitConfig()
    problem = _Problem.of(solution, height_m, config)
    rounds = 3 + config.ground_rounds
    seen = observe(track, solution.camera, T_WORLD_CAMERA)
    state = problem.start(track, seen)
    smooth = replace(config.terms, acceleration=0.25 * config.terms.acceleration)
    state = problem.solve(seen, state, None, smooth, config.smooth_iterations)
    body_px, _ = project_landmarks(seen, state, problem.place(state))
    sigma_px = config.terms.pixel_sigma * seen.person_px
    track, exchanged = exchange_sides(track, seen, body_px, sigma_px, config.terms.pixel_kernel)
    progress(1, rounds)

    seen = observe(track, solution.camera, T_WORLD_CAMERA)
    state = problem.start(track, seen)
    state = problem.solve(seen, state, None, config.terms, config.free_iterations)
    problem, state = problem.scaled(solution, seen, state)
    state = level_ground(state, problem.place(state), seen)
    progress(2, rounds)
    for done in range(config.ground_rounds):
        support = find_support(problem.place(state), state, seen)
        state = problem.solve(seen, state, support, config.terms, config.ground_iterations)
        progress(3 + done, rounds)
    support = find_support(problem.place(state), state, seen)
    contact = standing_feet(support.planted, seen.frame_rate)
    stands = support.planted * np.repeat(contact, 2, axis=1)
    firm = replace(support, planted=stands, grounded=stands)
    terms = replace(config.terms, speed_sigma=0.02, contact_sigma_m=0.005)
    state = problem.solve(seen, state, firm, terms, config.firm_iterations, shared=False)
    progress(rounds, rounds)
    return _result(problem, solution, seen, state, contact, exchanged)


@dataclass(frozen=True)
class _Problem:
    """What stays the same through all rounds."""

    model: BodyModel
    points: BodyPoints
    expected_shape: Float[np.ndarray, " component"]
    height_slope: Float[np.ndarray, " component"]
    """How the body's height changes with the shape."""
    camera_travels: bool
    ground: SetGround | None
    """Known once the body is placed in the camera's frame."""
    config: BodyFitConfig

    @staticmethod
    def of(solution: CameraSolution, height_m: float | None, config: BodyFitConfig) -> "_Problem":
        model = BodyModel.load()
        top, bottom = int(model.vertices[:, 1].argmax()), int(model.vertices[:, 1].argmin())
        return _Problem(
            model=model,
            points=BodyPoints.of(model, config.components),
            expected_shape=model.shape_for_height(height_m or config.expected_height_m)[: config.components],
            height_slope=(model.vertex_basis[top, 1] - model.vertex_basis[bottom, 1])[: config.components],
            camera_travels=solution.move == "parallax",
            ground=None,
            config=config,
        )

    def place(self, state: State) -> PlacedBody:
        return place(self.points, state.pose, state.shape)

    def start(self, track: LandmarkTrack, seen: Observations) -> State:
        """A first state, from the landmarks alone."""
        pose = start_pose(track, seen, self.points, self.expected_shape)
        scale = 1.0
        if self.camera_travels:
            feet = place(self.points, pose, self.expected_shape).points_m[:, [POINT[name] for name in SOLES]]
            scale = start_scale(feet, seen.camera_position, seen.frame_rate)
            pose = Pose(pose.root_m + scale * seen.camera_position, pose.R_parent_joint)
        up = np.array([0.0, 1.0, 0.0])
        state = State(pose, self.expected_shape, float(np.log(scale)), 0.0, up, 0.0, np.zeros(3))
        return level_ground(state, self.place(state), seen)

    def scaled(self, solution: CameraSolution, seen: Observations, state: State) -> tuple["_Problem", State]:
        """The problem and the state with the scale that the set's points or the feet show."""
        if not self.camera_travels:
            return self, state
        points_m = self.place(state).points_m
        feet = points_m[:, [POINT[name] for name in SOLES]] - np.exp(state.log_scale) * seen.camera_position[:, None]
        body_px, depth_m = project_landmarks(seen, state, self.place(state))
        marks = [POINT[f"{side}_{part}"] for side in ("left", "right") for part in ("heel", "foot_index")]
        lower = np.array(marks)[body_px[:, marks, 1].argmax(1)]
        frames = np.arange(len(seen))
        ground = ground_of_set(solution, seen, body_px[frames, lower], depth_m[frames, lower])
        if ground is None:
            ground = SetGround(float(np.log(start_scale(feet, seen.camera_position, seen.frame_rate))), 0.3, None)
        change = np.exp(ground.log_scale) - np.exp(state.log_scale)
        pose = replace(state.pose, root_m=state.pose.root_m + change * seen.camera_position)
        return replace(self, ground=ground), replace(state, pose=pose, log_scale=ground.log_scale)

    def solve(
        self,
        seen: Observations,
        state: State,
        support: Support | None,
        terms: TermConfig,
        iterations: int,
        shared: bool = True,
    ) -> State:
        """A better state under all terms: without a ground where `support` is None; `shared`: all may change."""

        def rows(state: State, lin: Linearised) -> list[Rows]:
            result = [
                reprojections(seen, state, lin, terms),
                bone_depths(seen, state, lin, terms),
                *pose_prior(state, terms),
                *upright(state, lin, terms),
            ]
            if support is not None:
                result += ground_contacts(state, lin, support.grounded, terms)
                result.append(balance(state, lin, support, terms))
            return result

        stencils = [accelerations(seen, terms)]
        if support is not None:
            stencils.append(foot_speeds(seen, support.planted, terms))
        count = len(self.expected_shape)
        free = np.full(count + len(EXTRA), shared)
        if self.ground is None:
            free[count + EXTRA.index("log_scale")] = False
        if support is None:
            free[count + EXTRA.index("ground_height")] = False

        def priors(state: State) -> tuple[np.ndarray, np.ndarray]:
            return shared_priors(seen, state, self.expected_shape, self.height_slope, self.ground, terms)

        return minimise(Objective(rows, stencils, priors, free), self.points, state, iterations)[0]


def _result(
    problem: _Problem,
    solution: CameraSolution,
    seen: Observations,
    state: State,
    contact: Bool[np.ndarray, "time 2"],
    exchanged: int,
) -> ActorFit:
    shape = np.zeros(problem.model.components)
    shape[: len(state.shape)] = state.shape
    body = problem.model.character(shape, "actor")
    body_px, _ = project_landmarks(seen, state, problem.place(state))
    error = np.linalg.norm(body_px - seen.landmarks_px, axis=-1)
    error = np.ma.masked_where(seen.trust < 0.1, error)
    error_px = np.ma.filled(np.ma.median(error, axis=1).astype(np.float64), np.nan)
    return ActorFit(
        body=body,
        shape=shape,
        motion=motion_in_world(state, body.skeleton, solution.camera.frame_rate),
        ground_contact=contact,
        camera=camera_in_world(state, solution.camera, T_WORLD_CAMERA),
        reprojection_px=error_px,
        diagnostics={
            "height_m": body.height_m,
            "reprojection_share": float(np.nanmedian(error_px / seen.person_px)),
            "exchanged_sides": float(exchanged),
            "landmark_lean_rad": state.depth_tilt,
            "contact_share": float(contact.any(1).mean()),
            "scale": float(np.exp(state.log_scale)),
        },
    )
