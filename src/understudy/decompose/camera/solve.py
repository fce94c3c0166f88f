"""The camera of a shot from the picture alone: static, turning in place, or moving through space."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from understudy.core.camera import CameraMoveKind, UnscaledCameraPath
from understudy.core.footage import CameraSolution, Shot
from understudy.decompose.camera.bundle_adjustment import Bundle, residuals
from understudy.decompose.camera.frames import Fit, fit_of, pose_all_frames, still_fit
from understudy.decompose.camera.keyframes import choose_keyframes, keyframe_tracks
from understudy.decompose.camera.parallax import solve_parallax
from understudy.decompose.camera.rotation import solve_rotation
from understudy.decompose.camera.tracks import PointTracks, TrackingConfig, track_set
from understudy.geometry.projection import intrinsics
from understudy.geometry.rotations import rotation_angle
from understudy.runtime.checks import check_options
from understudy.runtime.progress import Progress, silent

__all__ = ["CameraConfig", "default_focal_px", "solve_camera", "solve_tracks"]


@dataclass(frozen=True)
class CameraConfig:
    """How the camera is found."""

    move: CameraMoveKind | None = None
    """What the camera does, where the user knows; None: decided from the picture."""
    focal_px: float | None = None
    """Focal length in pixels of the full picture, where the user knows it; it is then held."""
    field_of_view: float = 0.908
    """Radians (52°) across the picture's longer side: assumed, where the move says nothing of the lens."""
    still_px: float = 0.6
    """A camera that moves the picture by less than this (in pixels of a 960-pixel frame) is static."""
    keyframes: int = 80
    """How many frames at most carry the solution; the others are placed among them."""
    tracking: TrackingConfig = field(default_factory=TrackingConfig)

    def __post_init__(self) -> None:
        check_options(self, focal_px=(1, 1_000_000), field_of_view=(0.001, 3.1), still_px=(0, 100), keyframes=(2, 2000))


def solve_camera(
    shot: Shot, masks: Sequence[Path], config: CameraConfig | None = None, progress: Progress = silent
) -> CameraSolution:
    """Decide whether the camera stands, turns or travels, and find its pose in every frame.

    Args:
        masks: grey videos, one frame per frame of the shot, 255 where a person is; may be none.

    Raises:
        FootageError: a frame cannot be read.
    """
    config = config or CameraConfig()
    tracks = track_set(shot, masks, config.tracking, progress)
    return solve_tracks(tracks, shot.frame_rate, config)


def default_focal_px(width: int, height: int, field_of_view: float) -> float:
    """The focal length, in pixels, that sees `field_of_view` radians across the longer side."""
    return 0.5 * max(width, height) / np.tan(0.5 * field_of_view)


def solve_tracks(tracks: PointTracks, frame_rate: Fraction, config: CameraConfig | None = None) -> CameraSolution:
    """`solve_camera` from points that were tracked already.

    The simplest camera that explains the tracks down to their noise wins: static, then turning with one focal length,
    then turning and zooming, then travelling with one focal length; where none does, the travelling camera must leave
    clearly less unexplained than the turning one. A push-in on a flat wall that fills the picture looks like a zoom,
    and is taken for one; any floor or furniture in sight tells them apart.
    """
    config = config or CameraConfig()
    solver = _Solver(tracks, config)
    move, solved, notes = _choose(solver)
    fit = solver.static() if solved is None else solver.all_frames(solved, move == "parallax")
    if solved is not None and fit.guessed:
        notes = (*notes, f"{fit.guessed} of {tracks.frames} frames show too little of the set: theirs is interpolated.")
    cameras = UnscaledCameraPath(
        T_world_camera=fit.T_world_camera,
        K=np.array([intrinsics(focal, tracks.width, tracks.height) for focal in fit.focal_px]),
        width=tracks.width,
        height=tracks.height,
        frame_rate=frame_rate,
    )
    return CameraSolution(cameras, move, fit.points, fit.residual_px, notes, fit.sightings)


_Choice = tuple[CameraMoveKind, Bundle | None, tuple[str, ...]]
"""The move, the solution at the keyframes (None: there is nothing to solve), and notes."""


class _Solver:
    """The tracks and their keyframes; solves each kind of move at the keyframes."""

    def __init__(self, tracks: PointTracks, config: CameraConfig) -> None:
        self.tracks = tracks
        self.focal_known = config.focal_px is not None
        self.focal_px = config.focal_px or default_focal_px(tracks.width, tracks.height, config.field_of_view)
        self.config = config
        self.keyframes = choose_keyframes(tracks, config.keyframes)
        self.key_tracks, self.which = keyframe_tracks(tracks, self.keyframes)

    @property
    def enough(self) -> bool:
        """Whether there is anything to decide from."""
        alive = np.bincount(self.tracks.frame, minlength=self.tracks.frames)
        return self.key_tracks.count >= 24 and float(np.median(alive)) >= 12

    def static(self) -> Fit:
        return still_fit(self.tracks, self.focal_px)

    def rotation(self) -> Bundle:
        return solve_rotation(self.key_tracks, self.focal_px, self.focal_known)

    def zoom(self, rotation: Bundle) -> Bundle:
        return solve_rotation(self.key_tracks, self.focal_px, False, True, rotation.R_camera_world)

    def parallax(self) -> Bundle | None:
        return solve_parallax(self.key_tracks, self.focal_px, self.focal_known)

    def all_frames(self, solved: Bundle, translate: bool) -> Fit:
        bundle = pose_all_frames(self.tracks, self.keyframes, self.which, solved, translate)
        return fit_of(bundle, self.tracks.unit_px, translate)

    def stands(self, rotation: Bundle) -> bool:
        """Whether no frame's picture is off the typical one by more than noise, at its corners, edges or middle."""
        return self._still(rotation) and self._still(self.all_frames(rotation, False).bundle)

    def _still(self, rotation: Bundle) -> bool:
        grid = np.stack(np.meshgrid([-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0]), -1).reshape(-1, 2)
        rays = np.concatenate([grid * rotation.centre_px / rotation.focal_px[0], np.ones((9, 1))], 1)
        turned = rays @ np.swapaxes(rotation.R_camera_world, 1, 2)
        moved = turned[..., :2] / turned[..., 2:] * rotation.focal_px[0]
        distance = np.linalg.norm(moved - np.median(moved, 0), axis=2).max(1)
        limit = self.config.still_px * max(self.tracks.width, self.tracks.height) / 960
        return bool(np.quantile(distance, 0.98) < limit)

    def unexplained(self, solved: Bundle) -> float:
        """Mean robust cost of an observation: about the squared residual in tracking pixels, less for outliers."""
        missed = np.linalg.norm(residuals(solved), axis=1) / self.tracks.unit_px
        return float(np.log1p(missed**2).mean())

    def well_explained(self, solved: Bundle, noise: float, share: float = 0.85) -> bool:
        """Whether `share` of the tracks leave only noise, whose median is below `noise` tracking pixels."""
        missed = np.linalg.norm(residuals(solved), axis=1) / self.tracks.unit_px
        return bool(np.median(missed) < noise and np.mean(missed < 4 * noise) > share)

    def what_is_wild(self, solved: Bundle) -> str | None:
        """What makes a travelling camera's path implausible, if anything; the points' median distance is 1."""
        fit = fit_of(solved, self.tracks.unit_px, True)
        T = fit.T_world_camera
        steps = np.linalg.norm(np.diff(T[:, :3, 3], axis=0), axis=1)
        turns = rotation_angle(np.swapaxes(T[:-1, :3, :3], 1, 2) @ T[1:, :3, :3])
        if len(fit.points) < 30:
            return f"only {len(fit.points)} points of the set could be placed"
        if steps.max() > 1.0 and steps.max() > 20 * np.median(steps):
            return "it jumped"
        if np.ptp(T[:, :3, 3], axis=0).max() > 30.0:
            return "it ran far past everything that is seen"
        if turns.max() > np.radians(40):
            return "it turned abruptly"
        return None


def _choose(solver: _Solver) -> _Choice:
    wanted = solver.config.move
    if wanted == "static":
        return "static", None, ()
    if not solver.enough:
        note = "The set shows too few points to follow, so the camera is taken to stand still; check it."
        return "static", None, (note,)
    if wanted == "parallax":
        return _parallax_or_else(solver)
    rotation = solver.rotation()
    if wanted is None and solver.stands(rotation):
        return "static", None, ()
    if solver.well_explained(rotation, 0.4):
        return "rotation", rotation, ()
    turning, zoom_note = _with_zoom(solver, rotation)
    # A travelling camera can bend a far wall to mimic any zoom, so it is not asked where a plain zoom does, even
    # roughly: blurred pans are tracked no better. A zoom of a few percent may be the travelling camera's shadow.
    plain_zoom = turning.focal_px.max() > 1.15 * turning.focal_px.min()
    if wanted == "rotation" or (plain_zoom and solver.well_explained(turning, 0.5)):
        return "rotation", turning, zoom_note
    travelling = solver.parallax()
    if travelling is None:
        note = "Structure from motion found no camera path, so the camera is taken to turn in place; check it."
        return "rotation", turning, (*zoom_note, note)
    wild = solver.what_is_wild(travelling)
    if wild is not None:
        note = f"A travelling camera was tried but {wild}, so the camera is taken to turn in place; check it."
        return "rotation", turning, (*zoom_note, note)
    # Where turning explains most of the tracks, what is left may be people: travelling must then explain that too.
    share = 0.4 if solver.well_explained(rotation, 0.25, share=0.6) else 0.8
    if solver.unexplained(travelling) > share * solver.unexplained(turning):
        return "rotation", turning, zoom_note
    return "parallax", travelling, ()


def _parallax_or_else(solver: _Solver) -> _Choice:
    """What the user asked for, or, where it cannot be had, the camera that turns."""
    travelling = solver.parallax()
    if travelling is not None:
        wild = solver.what_is_wild(travelling)
        note = () if wild is None else (f"The camera's path is doubtful: {wild}.",)
        return "parallax", travelling, note
    note = "Structure from motion found no camera path, so the camera is taken to turn in place; check it."
    return "rotation", solver.rotation(), (note,)


def _with_zoom(solver: _Solver, rotation: Bundle) -> tuple[Bundle, tuple[str, ...]]:
    """The turning camera with a focal length for each frame, where that explains clearly more."""
    if solver.focal_known:
        return rotation, ()
    zoom = solver.zoom(rotation)
    low, high = float(zoom.focal_px.min()), float(zoom.focal_px.max())
    if solver.unexplained(zoom) > 0.7 * solver.unexplained(rotation) or high < 1.03 * low or high > 20 * low:
        return rotation, ()
    return zoom, (f"The lens zooms: its focal length goes from {low:.0f} to {high:.0f} pixels.",)
