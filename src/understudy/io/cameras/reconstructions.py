"""Cameras with the points of the set, for programs that reconstruct scenes: COLMAP, nerfstudio, PLY."""

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from understudy.core.camera import CameraPath
from understudy.core.footage import SetPoints
from understudy.geometry.projection import project
from understudy.geometry.rotations import quaternion_from_matrix
from understudy.io.cameras.files import OPENGL_AXES, numbers
from understudy.io.temporary import whole_file
from understudy.io.text import replace_text

__all__ = ["write_colmap_text", "write_nerfstudio", "write_points_ply"]

UNKNOWN_ERROR = -1.0


def write_colmap_text(
    folder: Path, camera: CameraPath, image_names: Sequence[str], points: SetPoints, note: str = ""
) -> None:
    """Write cameras.txt, images.txt and points3D.txt for COLMAP: its whole model, with tracks.

    World-to-camera poses, OpenCV axes, metres, our world; pixels as ours. Source: COLMAP documentation, Output format.

    Args:
        image_names: of each frame, relative to the folder that COLMAP is told to find images in.
        note: one line for people, at the head of images.txt.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lenses, lens_of_frame = np.unique(np.round(camera.K[:, [0, 1, 0, 1], [0, 1, 2, 2]], 6), axis=0, return_inverse=True)
    cameras = ["# CAMERA_ID MODEL WIDTH HEIGHT fx fy cx cy"]
    for number, lens in enumerate(lenses, 1):
        cameras.append(f"{number} PINHOLE {camera.width} {camera.height} {' '.join(f'{value:.9g}' for value in lens)}")
    seen, T = points.sightings, camera.T_camera_world
    q = quaternion_from_matrix(T[:, :3, :3])
    order = np.argsort(seen.frame, kind="stable")
    starts = np.searchsorted(seen.frame[order], np.arange(len(camera) + 1))
    place = np.zeros(len(seen), int)
    images = [f"# {note}"] if note else []
    images.append("# IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, then its points: X Y POINT3D_ID …")
    for frame, (start, stop) in enumerate(pairwise(starts)):
        here = order[start:stop]
        place[here] = np.arange(len(here))
        pose = " ".join(f"{value:.12g}" for value in (*q[frame], *T[frame, :3, 3]))
        images.append(f"{frame + 1} {pose} {lens_of_frame.reshape(-1)[frame] + 1} {image_names[frame]}")
        rows = zip(seen.xy_px[here], seen.point[here], strict=True)
        images.append(" ".join(f"{x:.3f} {y:.3f} {point + 1}" for (x, y), point in rows))
    replace_text(folder / "cameras.txt", "\n".join(cameras) + "\n")
    replace_text(folder / "images.txt", "\n".join(images) + "\n")
    replace_text(folder / "points3D.txt", "\n".join(points_lines(camera, points, place)) + "\n")


def points_lines(camera: CameraPath, points: SetPoints, place: np.ndarray) -> list[str]:
    """The lines of points3D.txt; `place`: of each sighting among those of its frame."""
    seen, count = points.sightings, len(points.position_m)
    T = camera.T_camera_world[seen.frame]
    local = np.einsum("nij,nj->ni", T[:, :3, :3], points.position_m[seen.point]) + T[:, :3, 3]
    missed = np.linalg.norm(project(camera.K[seen.frame], local[:, None])[:, 0] - seen.xy_px, axis=1)
    sightings = np.bincount(seen.point, minlength=count)
    error = np.where(sightings > 0, np.bincount(seen.point, missed, count) / np.maximum(sightings, 1), UNKNOWN_ERROR)
    starts = np.searchsorted(seen.point, np.arange(count + 1))
    lines = ["# POINT3D_ID X Y Z R G B ERROR, then where it was seen: IMAGE_ID POINT2D_IDX …"]
    for point, (start, stop) in enumerate(pairwise(starts)):
        position = " ".join(f"{value:.6f}" for value in points.position_m[point])
        colour = " ".join(str(value) for value in points.colour[point])
        track = zip(seen.frame[start:stop] + 1, place[start:stop], strict=True)
        pairs = " ".join(f"{image} {index}" for image, index in track)
        lines.append(f"{point + 1} {position} {colour} {error[point]:.4f} {pairs}".rstrip())
    return lines


def write_nerfstudio(
    path: Path, camera: CameraPath, image_names: Sequence[str], points_name: str | None = None, note: str = ""
) -> None:
    """Write transforms.json for nerfstudio and instant-ngp: camera-to-world, OpenGL axes, world +Z up, metres.

    Source: nerfstudio documentation, Data conventions.

    Args:
        image_names: of each frame, relative to the file's folder.
        points_name: of the points that `write_points_ply` wrote, likewise.
        note: one line for people.
    """
    T = z_up() @ camera.T_world_camera @ OPENGL_AXES
    frames = [
        {
            "file_path": image_names[frame],
            "transform_matrix": [numbers(row, 12) for row in T[frame]],
            **lens_of(camera.K[frame]),
        }
        for frame in range(len(camera))
    ]
    document: dict[str, Any] = {"note": note} if note else {}
    document |= {
        "camera_model": "OPENCV",
        "w": camera.width,
        "h": camera.height,
        **lens_of(camera.K[0]),
        "frame_rate": float(camera.frame_rate),
    }
    if points_name is not None:
        document["ply_file_path"] = points_name
    replace_text(path, json.dumps(document | {"frames": frames}, indent=1) + "\n")


def write_points_ply(
    path: Path, position_m: Float[np.ndarray, "point 3"], colour: UInt8[np.ndarray, "point 3"]
) -> None:
    """Write points as binary PLY with +Z up, as nerfstudio and Blender take them."""
    rows = np.zeros(len(position_m), [("position", "<f4", 3), ("colour", "u1", 3)])
    rows["position"], rows["colour"] = position_m @ z_up()[:3, :3].T, colour
    properties = [
        *(f"property float {axis}" for axis in "xyz"),
        *(f"property uchar {c}" for c in ("red", "green", "blue")),
    ]
    head = ["ply", "format binary_little_endian 1.0", "comment metres, +Z up", f"element vertex {len(rows)}"]
    with whole_file(path) as temporary:
        temporary.write_bytes("\n".join([*head, *properties, "end_header", ""]).encode() + rows.tobytes())


def lens_of(K: Float[np.ndarray, "3 3"]) -> dict[str, float]:
    """Intrinsics under nerfstudio's names."""
    return {"fl_x": float(K[0, 0]), "fl_y": float(K[1, 1]), "cx": float(K[0, 2]), "cy": float(K[1, 2])}


def z_up() -> Float[np.ndarray, "4 4"]:
    """Turns our world (+Y up, facing +Z) into one with +Z up (facing −Y), as Blender's."""
    T = np.eye(4)
    T[:3, :3] = [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]
    return T
