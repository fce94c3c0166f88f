"""The cameras for other programs, with the points of the set and, on request, its frames."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from understudy.core.camera import CameraPath
from understudy.core.footage import CameraSolution, SetPoints, Sightings
from understudy.geometry.rigid import transform
from understudy.io.cameras.files import write_camera_usda
from understudy.io.cameras.reconstructions import write_colmap_text, write_nerfstudio, write_points_ply
from understudy.io.pictures.files import write_png
from understudy.io.video.streams import read_video
from understudy.studio.film_files import BodyFit
from understudy.studio.pipeline.artifacts import (
    BODY_FIT,
    CAMERA,
    CAMERA_COLMAP,
    CAMERA_NERFSTUDIO,
    CAMERA_USD,
    CLEAN_PLATE,
    PLATE_FRAMES,
    SET_POINTS,
    SOLUTION,
)
from understudy.studio.pipeline.inputs import Target, every_actor, given, makes
from understudy.studio.pipeline.stage import Run, Stage
from understudy.studio.stage_reports import NoReport

__all__ = ["CAMERA_EXPORTS"]

NAMED = "The images are the clean plate's frames, in camera/frames"
ABSENT = ", which were not written: run the same command with --export-frames to have them."
FITTED = " This camera was re-fitted to the new body; the images were taken by the source camera, which is the one to"
FITTED += " reconstruct the set with."


@dataclass(frozen=True)
class ActorsWorld:
    """Where the camera's solution lies in the world of an actor."""

    fit: BodyFit = given(BODY_FIT)


@dataclass(frozen=True)
class ExportReads:
    """Both cameras, and what they saw."""

    source: CameraPath = given(CAMERA, camera="source")
    fitted: CameraPath = given(CAMERA, camera="fitted")
    solution: CameraSolution = given(SOLUTION)
    actors: tuple[ActorsWorld, ...] = every_actor(ActorsWorld)
    plate: Path = given(CLEAN_PLATE)


@dataclass(frozen=True)
class ExportMakes:
    """Three formats of each camera."""

    source_usd: Target[CameraPath] = makes(CAMERA_USD, camera="source")
    source_colmap: Target[CameraPath] = makes(CAMERA_COLMAP, camera="source")
    source_nerfstudio: Target[CameraPath] = makes(CAMERA_NERFSTUDIO, camera="source")
    fitted_usd: Target[CameraPath] = makes(CAMERA_USD, camera="fitted")
    fitted_colmap: Target[CameraPath] = makes(CAMERA_COLMAP, camera="fitted")
    fitted_nerfstudio: Target[CameraPath] = makes(CAMERA_NERFSTUDIO, camera="fitted")
    points: Target[Path] = makes(SET_POINTS, optional=True)
    """Only where the camera moved through the set."""
    frames: Target[Path] = makes(PLATE_FRAMES, optional=True)
    """Only on request."""


@dataclass(frozen=True)
class ExportSettings:
    """What is written."""

    first_frame: int
    export_frames: bool


def export_cameras(reads: ExportReads, makes: ExportMakes, settings: ExportSettings, run: Run) -> NoReport:
    """Both cameras as USD and for COLMAP and nerfstudio; the set's points in metres; on request, the plate's frames."""
    first, export, solution = settings.first_frame, settings.export_frames, reads.solution
    names = [f"frame.{first + frame:04d}.png" for frame in range(len(reads.source))]
    colour = colours_of(reads, makes.frames.path if export else None, names, run)
    position_m = transform(reads.actors[0].fit.T_world_solution, solution.points)
    points = SetPoints(position_m, colour, solution.sightings)
    has_points = bool(len(points.position_m))
    if has_points:
        write_points_ply(makes.points.path, points.position_m, points.colour)
    note = NAMED + ("." if export else ABSENT)
    paths = [f"{makes.frames.path.name}/{image}" for image in names]
    ply = makes.points.path.name if has_points else None
    write_camera_usda(makes.source_usd.path, reads.source, first_frame=first)
    write_colmap_text(makes.source_colmap.path, reads.source, names, points, note)
    write_nerfstudio(makes.source_nerfstudio.path, reads.source, paths, ply, note)
    # The re-fitted camera has not taken the pictures in which the points were seen.
    write_camera_usda(makes.fitted_usd.path, reads.fitted, first_frame=first)
    write_colmap_text(
        makes.fitted_colmap.path, reads.fitted, names, replace(points, sightings=Sightings()), note + FITTED
    )
    write_nerfstudio(makes.fitted_nerfstudio.path, reads.fitted, paths, ply, note + FITTED)
    return NoReport()


def colours_of(reads: ExportReads, images: Path | None, names: list[str], run: Run) -> UInt8[np.ndarray, "point 3"]:
    """The mean sRGB of each point in the clean plate, whose frames are written into `images` on the way."""
    seen, points = reads.solution.sightings, len(reads.solution.points)
    total, count = np.zeros((points, 3)), np.zeros(points)
    if images is None and not points:
        return total.astype(np.uint8)
    if images is not None:
        images.mkdir(parents=True, exist_ok=True)
    height, width = reads.source.height, reads.source.width
    order = np.argsort(seen.frame, kind="stable")
    starts = np.searchsorted(seen.frame[order], np.arange(len(names) + 1))
    for frame, (name, picture) in enumerate(zip(names, read_video(reads.plate), strict=True)):
        picture = np.ascontiguousarray(picture[:height, :width])
        here = order[starts[frame] : starts[frame + 1]]
        x, y = np.clip(seen.xy_px[here].T.astype(int), 0, [[width - 1], [height - 1]])
        # A point is seen once a frame at most.
        total[seen.point[here]] += picture[y, x]
        count[seen.point[here]] += 1
        if images is not None:
            write_png(images / name, picture)
        run.progress(frame + 1, len(names))
    return np.rint(total / np.maximum(count, 1)[:, None]).astype(np.uint8)


CAMERA_EXPORTS = Stage(
    "camera exports", export_cameras, lambda config: ExportSettings(config.first_frame, config.export_frames)
)
