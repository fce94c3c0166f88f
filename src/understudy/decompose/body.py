"""Fits the body model to one person's landmarks over a whole shot, in one metric world with the camera."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from understudy.body.model import BodyModel
from understudy.core.camera import CameraPath
from understudy.core.character import Character
from understudy.core.footage import LANDMARKS, CameraSolution, LandmarkTrack
from understudy.core.motion import Motion
from understudy.core.progress import Progress, silent
from understudy.decompose.align import (
    camera_in_world,
    level_ground,
    motion_in_world,
    planted_feet,
    standing_feet,
    start_scale,
)
from understudy.decompose.body_pose import POINT, SOLES, BodyPoints, Pose, place
from understudy.decompose.body_solver import Objective, minimise
from understudy.decompose.body_start import observe, start_pose
from understudy.decompose.body_terms import (
    EXTRA,
    Linearised,
    Observations,
    Rows,
    State,
    TermConfig,
    accelerations,
    bone_depths,
    foot_speeds,
    ground_contacts,
    pose_prior,
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
    free_iterations: int = 10
    """Steps without a ground."""
    ground_rounds: int = 4
    """How often standing feet are found anew."""
    ground_iterations: int = 4
    """Steps in each of these rounds."""


@dataclass(frozen=True)
class ActorFit:
    """An actor's body and how it moves, with the camera, in one metric +Y-up world."""

    body: Character
    shape: Float[np.ndarray, " component"]
    motion: Motion
    ground_contact: Bool[np.ndarray, "time 2"]
    camera: CameraPath
    reprojection_px: Float[np.ndarray, " time"]
    """Median distance of the trusted landmarks from the body's, in each frame; NaN where nobody was seen."""
    diagnostics: dict[str, float]


def _objective(
    seen: Observations,
    planted: Float[np.ndarray, "time sole"] | None,
    expected_shape: Float[np.ndarray, " component"],
    height_slope: Float[np.ndarray, " component"],
    moves: bool,
    config: TermConfig,
) -> Objective:
    """All terms; without a ground where `planted` is None."""

    def rows(state: State, lin: Linearised) -> list[Rows]:
        terms = [
            reprojections(seen, state, lin, config),
            bone_depths(seen, state, lin, config),
            *pose_prior(state, config),
            upright(state, lin, config),
        ]
        if planted is not None:
            terms += ground_contacts(state, lin, planted, config)
        return terms

    stencils = [accelerations(seen, config)]
    if planted is not None:
        stencils.append(foot_speeds(seen, planted, config))
    count = len(expected_shape)
    free = np.ones(count + len(EXTRA), bool)
    free[count] = moves
    free[count + 2 : count + 4] = True
    free[count + 4] = planted is not None
    return Objective(
        rows, stencils, lambda state: shared_priors(seen, state, expected_shape, height_slope, config), free
    )


def fit_actor(
    track: LandmarkTrack,
    solution: CameraSolution,
    height_m: float | None = None,
    mask: Path | None = None,
    config: BodyFitConfig | None = None,
    progress: Progress = silent,
) -> ActorFit:
    config = config or BodyFitConfig()
    model = BodyModel.load()
    points = BodyPoints.of(model, config.components)
    expected = model.shape_for_height(height_m or config.expected_height_m)[: config.components]
    top, bottom = int(model.vertices[:, 1].argmax()), int(model.vertices[:, 1].argmin())
    slope = (model.vertex_basis[top, 1] - model.vertex_basis[bottom, 1])[: config.components]
    T_first = np.diag([1.0, -1.0, -1.0, 1.0])
    seen = observe(track, solution.camera, T_first)
    pose, _ = start_pose(track, seen, points, expected)
    moves = solution.move == "parallax"
    scale = 1.0
    if moves:
        placed = place(points, pose, expected)
        scale = start_scale(placed.points_m[:, [POINT[n] for n in SOLES]], seen.camera_position, seen.frame_rate)
        pose = Pose(pose.root_m + scale * seen.camera_position, pose.R_parent_joint)
    state = State(pose, expected, float(np.log(scale)), 0.0, np.array([0.0, 1.0, 0.0]), 0.0, np.zeros(3))
    state = level_ground(state, place(points, pose, expected), seen)
    costs = []
    state, cost = minimise(
        _objective(seen, None, expected, slope, moves, config.terms), points, state, config.free_iterations
    )
    costs.append(cost)
    state = level_ground(state, place(points, state.pose, state.shape), seen)
    for _ in range(config.ground_rounds):
        placed = place(points, state.pose, state.shape)
        planted = planted_feet(placed, state, seen)
        state, cost = minimise(
            _objective(seen, planted, expected, slope, moves, config.terms), points, state, config.ground_iterations
        )
        costs.append(cost)
    placed = place(points, state.pose, state.shape)
    shape = np.zeros(model.components)
    shape[: config.components] = state.shape
    body = model.character(shape, "actor")
    error = _reprojection(seen, state, placed.points_m)
    return ActorFit(
        body=body,
        shape=shape,
        motion=motion_in_world(state, body.skeleton, solution.camera.frame_rate),
        ground_contact=standing_feet(planted_feet(placed, state, seen), seen.frame_rate),
        camera=camera_in_world(state, solution.camera, T_first),
        reprojection_px=error,
        diagnostics={
            "height_m": body.height_m,
            "tilt": state.depth_tilt,
            "scale": float(np.exp(state.log_scale)),
            "reprojection_share": float(np.nanmedian(error / seen.person_px)),
            "costs": costs,
        },
    )


def _reprojection(seen: Observations, state: State, points_m: Float[np.ndarray, "time point 3"]) -> np.ndarray:
    camera = (points_m[:, : len(LANDMARKS)] - np.exp(state.log_scale) * seen.camera_position[:, None]) @ np.swapaxes(
        seen.R_camera_world, 1, 2
    )
    image = camera @ np.swapaxes(seen.K, 1, 2)
    error = np.linalg.norm(image[..., :2] / image[..., 2:] - seen.landmarks_px, axis=-1)
    error[seen.trust < 0.1] = np.nan
    return np.nanmedian(error, axis=1)
