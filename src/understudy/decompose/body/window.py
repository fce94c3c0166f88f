"""Fits the body over one window of frames: from the landmarks to a pose that stands on the ground."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from understudy.body.model import BodyModel
from understudy.core.camera import UnscaledCameraPath
from understudy.core.footage import CameraSolution, LandmarkTrack
from understudy.decompose.body.initial_pose import exchange_sides, initial_pose, observe
from understudy.decompose.body.outline import (
    ClothedSurface,
    Outline,
    OutlineConfig,
    find_outline,
    fit_surface,
    outline_rows,
    read_masks,
)
from understudy.decompose.body.pose_state import FREEDOMS, POINT, SOLES, BodyPoints, PlacedBody, place
from understudy.decompose.body.priors import arm_swing, balance, pose_prior, shared_priors, upright
from understudy.decompose.body.terms import (
    Observations,
    SetGround,
    State,
    Support,
    TermConfig,
    accelerations,
    bone_depths,
    foot_speeds,
    ground_contacts,
    linearise,
    project_landmarks,
    reprojections,
    shared_sizes,
)
from understudy.decompose.body.world_frame import (
    T_WORLD_CAMERA,
    find_support,
    ground_of_set,
    level_ground,
    likely_scale,
    standing_feet,
    start_scale,
)
from understudy.runtime.checks import check_options
from understudy.solvers.levenberg_marquardt import LevenbergMarquardt, minimise
from understudy.solvers.residuals import Residuals
from understudy.solvers.unknowns import Unknowns

__all__ = ["BodyFitConfig", "BodyProblem", "WindowFit", "fit_window"]

_TOLERANCE = 1e-3
"""Share of the cost below which a step's gain is not worth the next: terms change more from round to round."""


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
    window_frames: int = 480
    """Longer shots are fitted in windows of about this length."""
    overlap_frames: int = 32
    """Over which windows are faded into each other."""
    outline: OutlineConfig = field(default_factory=OutlineConfig)
    """How the actor's mask is used."""

    def __post_init__(self) -> None:
        check_options(
            self,
            expected_height_m=(0.3, 3),
            components=(0, 10),
            window_frames=(8, 100_000),
            overlap_frames=(1, 10_000),
            **dict.fromkeys(
                ("smooth_iterations", "free_iterations", "ground_rounds", "ground_iterations", "firm_iterations"),
                (0, 1000),
            ),
        )


@dataclass(frozen=True)
class BodyProblem:
    """What stays the same through all rounds and windows."""

    model: BodyModel
    points: BodyPoints
    expected_shape: Float[np.ndarray, " component"]
    height_slope: Float[np.ndarray, " component"]
    """How the body's height changes with the shape."""
    camera_travels: bool
    config: BodyFitConfig

    @staticmethod
    def of(solution: CameraSolution, height_m: float | None, config: BodyFitConfig) -> "BodyProblem":
        """The problem of a person of some height (None: the usual one), filmed by some camera."""
        model = BodyModel.load()
        top, bottom = int(model.vertices[:, 1].argmax()), int(model.vertices[:, 1].argmin())
        return BodyProblem(
            model=model,
            points=BodyPoints.of(model, config.components),
            expected_shape=model.shape_for_height(height_m or config.expected_height_m)[: config.components],
            height_slope=(model.vertex_basis[top, 1] - model.vertex_basis[bottom, 1])[: config.components],
            camera_travels=solution.move == "parallax",
            config=config,
        )

    def place(self, state: State) -> PlacedBody:
        """Joints and points of the body at a state."""
        return place(self.points, state.pose, state.shape)


@dataclass(frozen=True)
class WindowFit:
    """The body in some frames."""

    state: State
    seen: Observations
    contact: Bool[np.ndarray, "time 2"]
    exchanged: int
    """In how many limbs and frames left and right were exchanged."""
    surface: ClothedSurface | None
    """The body with what it wears; None: no mask was given."""


def fit_window(
    problem: BodyProblem,
    track: LandmarkTrack,
    camera: UnscaledCameraPath,
    set_points: Float[np.ndarray, "point 3"],
    known: "WindowFit | None",
    mask: Path | None = None,
    first: int = 0,
) -> WindowFit:
    """Fit the frames of `track` and `camera`; shape, surface, scale, gravity and ground are those of `known`, if given.

    The mask's frame `first` is the window's first.
    """
    config = problem.config
    shared = known is None
    seen = observe(track, camera, T_WORLD_CAMERA)
    state = _start(problem, track, camera, set_points, seen, None if known is None else known.state)
    smooth = replace(config.terms, acceleration=0.25 * config.terms.acceleration)
    state = _solve(problem, seen, state, None, None, smooth, config.smooth_iterations, shared)
    body_px, _ = project_landmarks(seen, state, problem.place(state))
    sigma_px = config.terms.pixel_sigma * seen.person_px
    track, exchanged = exchange_sides(track, seen, body_px, sigma_px, config.terms.pixel_kernel)

    seen = observe(track, camera, T_WORLD_CAMERA)
    state = _start(problem, track, camera, set_points, seen, None if known is None else known.state)
    state = _solve(problem, seen, state, None, None, config.terms, config.free_iterations, shared)
    ground = None
    if shared:
        if problem.camera_travels:
            ground = _find_scale(problem, set_points, camera, seen, state)
            state = state.scaled(ground.log_scale, seen.camera_position)
        state = level_ground(state, problem.place(state), seen)
    for _ in range(config.ground_rounds):
        support = find_support(problem.place(state), state, seen)
        state = _solve(problem, seen, state, support, ground, config.terms, config.ground_iterations, shared)
    surface, outline = None if known is None else known.surface, None
    if mask is not None:
        masks = read_masks(mask, first, seen, config.outline)
        picture = (camera.width, camera.height)
        for _ in range(config.outline.rounds):
            placed = problem.place(state)
            if shared:
                surface = fit_surface(problem.model, state, placed, seen, masks, picture, config.outline)
            assert surface is not None  # of this window, or known from all of them
            outline = find_outline(problem.model, surface, state, placed, seen, masks, picture, config.outline)
            support = find_support(placed, state, seen)
            state = _solve(
                problem, seen, state, support, ground, config.terms, config.outline.iterations, shared, outline
            )
    support = find_support(problem.place(state), state, seen)
    contact = standing_feet(support.planted, seen.frame_rate)
    stands = support.planted * np.repeat(contact, 2, axis=1)
    firm = replace(support, planted=stands, grounded=stands)
    terms = replace(config.terms, speed_sigma=0.02, contact_sigma_m=0.005)
    state = _solve(problem, seen, state, firm, ground, terms, config.firm_iterations, False, outline)
    if mask is not None and shared:
        surface = fit_surface(problem.model, state, problem.place(state), seen, masks, picture, config.outline)
    return WindowFit(state, seen, contact, exchanged, surface)


def _start(
    problem: BodyProblem,
    track: LandmarkTrack,
    camera: UnscaledCameraPath,
    set_points: Float[np.ndarray, "point 3"],
    seen: Observations,
    known: State | None,
) -> State:
    """A first state, from the landmarks alone."""
    pose = initial_pose(track, seen, problem.points, problem.expected_shape)
    if known is not None:
        # Where the camera is in each frame has still to be added, at its known scale.
        return replace(known, pose=pose, log_scale=-np.inf).scaled(known.log_scale, seen.camera_position)
    state = State(pose, problem.expected_shape, -np.inf, 0.0, np.array([0.0, 1.0, 0.0]), 0.0, np.zeros(3))
    scale = 1.0
    if problem.camera_travels:
        placed = problem.place(state)
        likely = likely_scale(set_points, camera, *project_landmarks(seen, state, placed))
        scale = start_scale(_soles(placed), seen.camera_position, seen.frame_rate, likely)
    state = state.scaled(float(np.log(scale)), seen.camera_position)
    return level_ground(state, problem.place(state), seen)


def _soles(placed: PlacedBody) -> Float[np.ndarray, "time sole 3"]:
    return placed.points_m[:, [POINT[name] for name in SOLES]]


def _find_scale(
    problem: BodyProblem,
    set_points: Float[np.ndarray, "point 3"],
    camera: UnscaledCameraPath,
    seen: Observations,
    state: State,
) -> SetGround:
    """Scale and gravity from the set's points around the feet; without them, the scale for which feet stand most."""
    placed = problem.place(state)
    body_px, depth_m = project_landmarks(seen, state, placed)
    marks = [POINT[f"{side}_{part}"] for side in ("left", "right") for part in ("heel", "foot_index")]
    lower = np.array(marks)[body_px[:, marks, 1].argmax(1)]
    frames = np.arange(len(seen))
    ground = ground_of_set(set_points, camera, seen, body_px[frames, lower], depth_m[frames, lower])
    if ground is not None:
        return ground
    feet = _soles(placed) - np.exp(state.log_scale) * seen.camera_position[:, None]
    likely = likely_scale(set_points, camera, body_px, depth_m)
    return SetGround(float(np.log(start_scale(feet, seen.camera_position, seen.frame_rate, likely))), 0.3, None)


def _solve(
    problem: BodyProblem,
    seen: Observations,
    state: State,
    support: Support | None,
    ground: SetGround | None,
    terms: TermConfig,
    iterations: int,
    shared: bool,
    outline: Outline | None = None,
) -> State:
    """A better state under all terms: without a ground where `support` is None; `shared`: all unknowns may change."""

    def residuals(state: State) -> list[Residuals]:
        lin = linearise(problem.points, state)
        result: list[Residuals] = [
            *shared_priors(seen, state, problem.expected_shape, problem.height_slope, ground, terms),
            reprojections(seen, state, lin, terms),
            bone_depths(seen, state, lin, terms),
            *pose_prior(state, terms),
            *upright(state, lin, terms),
            arm_swing(state, lin, terms),
            accelerations(seen, lin, terms),
        ]
        if outline is not None:
            result.append(outline_rows(seen, state, lin, outline, problem.config.outline))
        if support is not None:
            result += ground_contacts(state, lin, support.grounded, terms)
            result.append(balance(state, lin, support, terms))
            result.append(foot_speeds(seen, lin, support.planted, terms))
        return result

    held = shared_sizes(len(problem.expected_shape))
    known = {"log_scale"} if ground is None else set()
    known |= {"ground_height"} if support is None else set()
    free = {name: held.pop(name) for name in list(held) if shared and name not in known}
    unknowns = Unknowns(len(seen), {"pose": FREEDOMS}, free, held)
    rule = LevenbergMarquardt(iterations, _TOLERANCE)
    return minimise(unknowns, state, residuals, State.moved, rule).state
