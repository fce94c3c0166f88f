"""The cameras for other programs, with the points of the set and, on request, its frames."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from understudy.core.footage import SetPoints, Sightings
from understudy.geometry.rigid import transform
from understudy.io.cameras import read_camera_json, write_camera_usda
from understudy.io.pictures.files import write_png
from understudy.io.reconstructions import write_colmap_text, write_nerfstudio, write_points_ply
from understudy.io.video.streams import read_video
from understudy.runtime.progress import Progress
from understudy.studio.pipeline.artifacts import load_alignment, load_solution
from understudy.studio.pipeline.cut import Cut

__all__ = ["camera_exports_stage"]

PLATE, FRAMES, POINTS = "plate/clean_plate.mp4", "camera/frames", "camera/points.ply"
OF_CAMERA = (".usda", "_colmap", "_transforms.json")
NAMED = "The images are the clean plate's frames, in camera/frames"
ABSENT = ", which were not written: run the same command with --export-frames to have them."
FITTED = " This camera was re-fitted to the new body; the images were taken by the source camera, which is the one to"
FITTED += " reconstruct the set with."


def camera_exports_stage(cut: Cut) -> None:
    """Both cameras as USD and for COLMAP and nerfstudio; the set's points in metres; on request, the plate's frames."""
    solution, export = load_solution(cut.path("camera/solution.npz")), cut.config.export_frames
    first = cut.config.first_frame
    outputs = [f"camera/{name}{kind}" for name in ("source", "fitted") for kind in OF_CAMERA]
    outputs += [POINTS] * bool(len(solution.points)) + [FRAMES] * export
    for name in cut.edits():
        if name.startswith(tuple(outputs)) and not name.startswith(FRAMES):
            cut.narrator.say(f"{name} is for other programs and is not read back; edit the camera's JSON instead")

    def work(folder: Path, progress: Progress) -> dict[str, Any]:
        names = [f"frame.{first + frame:04d}.png" for frame in range(len(cut.shot))]
        images = folder / FRAMES if export else None
        colour = colours_of(cut, solution.sightings, len(solution.points), images, names, progress)
        T_world_solution = load_alignment(cut.path(f"{cut.actor}/fit.npz"))
        points = SetPoints(transform(T_world_solution, solution.points), colour, solution.sightings)
        has_points = bool(len(points.position_m))
        if has_points:
            write_points_ply(folder / POINTS, points.position_m, points.colour)
        for name in ("source", "fitted"):
            camera = read_camera_json(cut.path(f"camera/{name}.json"))
            usda, colmap, nerfstudio = (folder / f"camera/{name}{kind}" for kind in OF_CAMERA)
            note = NAMED + ("." if export else ABSENT) + (FITTED if name == "fitted" else "")
            # The re-fitted camera has not taken the pictures in which the points were seen.
            shown = points if name == "source" else replace(points, sightings=Sightings())
            write_camera_usda(usda, camera, first_frame=first)
            write_colmap_text(colmap, camera, names, shown, note)
            paths = [f"{Path(FRAMES).name}/{image}" for image in names]
            write_nerfstudio(nerfstudio, camera, paths, Path(POINTS).name if has_points else None, note)
        return {}

    reads = ["camera/source.json", "camera/fitted.json", "camera/solution.npz", f"{cut.actor}/fit.npz"]
    reads += [PLATE] * bool(export or len(solution.points))
    settings = {"first_frame": first, "export_frames": export}
    cut.run("camera exports", reads, settings, outputs, work)


def colours_of(
    cut: Cut, seen: Sightings, points: int, images: Path | None, names: list[str], progress: Progress
) -> UInt8[np.ndarray, "point 3"]:
    """The mean sRGB of each point in the clean plate, whose frames are written into `images` on the way."""
    total, count = np.zeros((points, 3)), np.zeros(points)
    if images is None and not points:
        return total.astype(np.uint8)
    if images is not None:
        images.mkdir(parents=True, exist_ok=True)
    height, width = cut.shot.height, cut.shot.width
    order = np.argsort(seen.frame, kind="stable")
    starts = np.searchsorted(seen.frame[order], np.arange(len(names) + 1))
    for frame, (name, picture) in enumerate(zip(names, read_video(cut.path(PLATE)), strict=True)):
        picture = np.ascontiguousarray(picture[:height, :width])
        here = order[starts[frame] : starts[frame + 1]]
        x, y = np.clip(seen.xy_px[here].T.astype(int), 0, [[width - 1], [height - 1]])
        # A point is seen once a frame at most.
        total[seen.point[here]] += picture[y, x]
        count[seen.point[here]] += 1
        if images is not None:
            write_png(images / name, picture)
        progress(frame + 1, len(names))
    return np.rint(total / np.maximum(count, 1)[:, None]).astype(np.uint8)
