"""Fits the body model to one person's landmarks over a whole shot, in one metric world with the camera."""

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from understudy.core.camera import CameraPath
from understudy.core.character import Character
from understudy.core.footage import CameraSolution, LandmarkTrack
from understudy.core.motion import Motion
from understudy.decompose.body.finish import bend_toes, spread_twist
from understudy.decompose.body.outline import ClothedSurface
from understudy.decompose.body.pose_state import PoseState
from understudy.decompose.body.terms import State, project_landmarks
from understudy.decompose.body.window import BodyFitConfig, BodyProblem, WindowFit, fit_window
from understudy.decompose.body.world_frame import T_WORLD_CAMERA, camera_in_world, motion_in_world, world_from_solution
from understudy.geometry.rotations import matrix_from_quaternion, quaternion_from_matrix, slerp
from understudy.runtime.progress import Progress, silent

__all__ = ["ActorFit", "BodyFitConfig", "fit_actor"]


@dataclass(frozen=True)
class ActorFit:
    """An actor's body and how it moves, with the camera, in one metric +Y-up world."""

    body: Character
    shape: Float[np.ndarray, " component"]
    motion: Motion
    ground_contact: Bool[np.ndarray, "time 2"]
    """Whether the left and the right foot stands."""
    camera: CameraPath
    T_world_solution: Float[np.ndarray, "4 4"]
    """Brings the points of the camera's solution into the world, in metres: a similarity."""
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
        mask: the actor's (a grey video, a frame per frame of the track): shows where limbs are, and what is worn. The
            body's surface then holds clothes and hair; its joints stay those of the person.
    """
    if len(track) != len(solution.camera):
        raise ValueError(f"{len(track)} frames of landmarks but {len(solution.camera)} of the camera")
    if not track.seen.any():
        raise ValueError("a body cannot be fitted to a person who is seen in no frame")
    config = config or BodyFitConfig()
    problem = BodyProblem.of(solution, height_m, config)
    windows = _windows(len(track), config.window_frames, config.overlap_frames)
    progress(0, len(track))
    # What all windows share comes from the one in which most of the body is seen.
    order = sorted(windows, key=lambda window: -float(track.visibility[window].sum()))
    fits: dict[int, WindowFit] = {}
    known = None
    for window in order:
        part = replace(
            track,
            landmarks_px=track.landmarks_px[window],
            visibility=track.visibility[window],
            landmarks_m=track.landmarks_m[window],
            seen=track.seen[window],
        )
        if not part.seen.any():
            continue
        camera = replace(
            solution.camera, T_world_camera=solution.camera.T_world_camera[window], K=solution.camera.K[window]
        )
        fits[window.start] = fit_window(problem, part, camera, solution.points, known, mask, window.start)
        known = known or fits[window.start]
        progress(sum(len(fit.seen) for fit in fits.values()), len(track))
    return _result(problem, solution, _joined(problem, fits, len(track)))


def _windows(time: int, size: int, overlap: int) -> list[slice]:
    """Windows of about `size` frames that overlap their neighbours."""
    count = max(1, -(-(time - overlap) // max(size - overlap, 1)))
    edges = np.linspace(0, time - overlap, count + 1).round().astype(int) if count > 1 else np.array([0, time])
    return [slice(int(a), int(min(b + overlap, time))) for a, b in pairwise(edges)]


@dataclass(frozen=True)
class _Whole:
    """All windows as one."""

    state: State
    contact: Bool[np.ndarray, "time 2"]
    error_px: Float[np.ndarray, " time"]
    person_px: Float[np.ndarray, " time"]
    exchanged: int
    surface: ClothedSurface | None


def _joined(problem: BodyProblem, fits: dict[int, WindowFit], time: int) -> _Whole:
    """Windows faded over where they overlap; frames that no window holds keep the pose of the nearest that one does."""
    root, q = np.zeros((time, 3)), np.zeros((time, 22, 4))
    contact, error_px, person_px = np.zeros((time, 2), bool), np.full(time, np.nan), np.full(time, np.nan)
    done = np.zeros(time, bool)
    for start in sorted(fits):
        fit = fits[start]
        frames = np.arange(start, start + len(fit.seen))
        known = done[frames]
        share = np.where(known, np.cumsum(known) / (known.sum() + 1.0), 1.0)
        q_fit = quaternion_from_matrix(fit.state.pose.R_parent_joint)
        root[frames] += share[:, None] * (fit.state.pose.root_m - root[frames])
        q[frames] = np.where(known[:, None, None], slerp(q[frames], q_fit, share[:, None]), q_fit)
        later = frames[share > 0.5]
        contact[later], person_px[later] = fit.contact[later - start], fit.seen.person_px[later - start]
        error_px[later] = _error_px(problem, fit)[later - start]
        done[frames] = True
    nearest = np.flatnonzero(done)
    nearest = nearest[np.abs(np.arange(time)[:, None] - nearest).argmin(1)] if not done.all() else np.arange(time)
    first = next(iter(fits.values()))  # the one that all others share with
    state = replace(first.state, pose=PoseState(root[nearest], matrix_from_quaternion(q[nearest])))
    exchanged = sum(fit.exchanged for fit in fits.values())
    return _Whole(state, contact, error_px, person_px, exchanged, first.surface)


def _error_px(problem: BodyProblem, fit: WindowFit) -> Float[np.ndarray, " time"]:
    """Median distance of the trusted landmarks from the body's; NaN without any."""
    body_px, _ = project_landmarks(fit.seen, fit.state, problem.place(fit.state))
    error = np.linalg.norm(body_px - fit.seen.landmarks_px, axis=-1)
    trusted = fit.seen.trust >= 0.1
    return np.array([np.median(e[t]) if t.any() else np.nan for e, t in zip(error, trusted, strict=True)])


def _result(problem: BodyProblem, solution: CameraSolution, whole: _Whole) -> ActorFit:
    state = whole.state
    shape = np.zeros(problem.model.components)
    shape[: len(state.shape)] = state.shape
    body = problem.model.character(shape, "actor")
    if whole.surface is not None:
        body = replace(body, mesh=replace(body.mesh, vertices=whole.surface.vertices))
    state = replace(state, pose=spread_twist(bend_toes(problem, state)))
    shares = (whole.error_px / whole.person_px)[np.isfinite(whole.error_px)]
    return ActorFit(
        body=body,
        shape=shape,
        motion=motion_in_world(state, body.skeleton, solution.camera.frame_rate),
        ground_contact=whole.contact,
        camera=camera_in_world(state, solution.camera, T_WORLD_CAMERA),
        T_world_solution=world_from_solution(state, T_WORLD_CAMERA),
        reprojection_px=whole.error_px,
        diagnostics={
            "height_m": problem.model.shaped(shape).height_m,
            "reprojection_share": float(np.median(shares)) if len(shares) else float("nan"),
            "exchanged_sides": float(whole.exchanged),
            "landmark_lean_rad": state.depth_tilt,
            "contact_share": float(whole.contact.any(1).mean()),
        },
    )
