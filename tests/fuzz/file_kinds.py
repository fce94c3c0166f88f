"""Every kind of file that is read from outside: a small valid one, made by our own writers, and its reader."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import OpenEXR
from box_person import box_person
from PIL import Image

from understudy.characters.picture.joints import read_joints
from understudy.characters.rig.character import character_from_rig
from understudy.core.camera import CameraPath, UnscaledCameraPath
from understudy.core.environment import Light
from understudy.core.footage import CameraSolution, LandmarkTrack, Sightings
from understudy.core.motion import Motion
from understudy.geometry.projection import intrinsics
from understudy.io.cameras.files import read_camera_json, write_camera_json
from understudy.io.cameras.sets import (
    read_realestate10k,
    read_unreal_cameras,
    unreal_text_from_cameras,
    write_realestate10k,
)
from understudy.io.gltf.write import write_character
from understudy.io.motions.arrays import read_landmarks_npz, read_motion_npz, write_landmarks_npz, write_motion_npz
from understudy.io.motions.bvh import read_bvh, write_bvh
from understudy.io.pictures.files import read_picture
from understudy.io.video.encoding import VideoWriter
from understudy.io.video.frame_pictures import read_frame_header, read_frame_picture
from understudy.io.video.streams import open_shot, read_frames, read_video
from understudy.studio.film_files import (
    BodyFit,
    Presence,
    load_fit,
    load_light,
    load_presence,
    load_solution,
    save_fit,
    save_light,
    save_presence,
    save_solution,
)
from understudy.studio.project import MANIFEST, Project

__all__ = ["FILE_KINDS", "FileKind", "valid_bytes"]

FRAMES = 6


@dataclass(frozen=True)
class FileKind:
    """A kind of file."""

    file: str
    """Its usual name."""
    write: Callable[[Path], object]
    """Writes a valid one."""
    read: Callable[[Path], object]
    """Reads one from anywhere."""


def valid_bytes(kind: FileKind, folder: Path) -> bytes:
    """The valid file's content; `folder` is for scratch."""
    path = folder / kind.file
    path.parent.mkdir(parents=True, exist_ok=True)
    kind.write(path)
    content = path.read_bytes()
    path.unlink()
    return content


def a_camera() -> CameraPath:
    T = np.tile(np.eye(4), (FRAMES, 1, 1))
    T[:, 0, 3] = np.linspace(0, 1, FRAMES)
    return CameraPath(T, np.tile(intrinsics(900.0, 1280, 720), (FRAMES, 1, 1)), 1280, 720, Fraction(24))


def a_motion() -> Motion:
    skeleton = box_person().skeleton
    q = np.tile([1.0, 0, 0, 0], (FRAMES, len(skeleton), 1))
    return Motion(skeleton, q, np.tile([0, 0.95, 0], (FRAMES, 1)), Fraction(24))


def a_picture(side: int = 96) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side]
    return np.stack([rows * 2, columns * 2, (rows * columns) % 251], -1).astype(np.uint8)


def a_solution() -> CameraSolution:
    sightings = Sightings(np.array([0, 0, 2]), np.array([0, 1, 1]), np.ones((3, 2)))
    return CameraSolution(
        UnscaledCameraPath.of(a_camera()), "static", np.zeros((3, 3)), np.zeros(FRAMES), ("a note",), sightings
    )


def a_track() -> LandmarkTrack:
    ones = np.ones(FRAMES, bool)
    return LandmarkTrack(np.full((FRAMES, 33, 2), 50.0), np.ones((FRAMES, 33)), np.zeros((FRAMES, 33, 3)), ones)


def some_joints() -> dict[str, list[float]]:
    at = {"head_top": [50, 5]}
    for side, sign in (("left", 1), ("right", -1)):
        for row, name in enumerate(("shoulder", "elbow", "wrist", "hip", "knee", "ankle")):
            at[f"{side}_{name}"] = [50 + sign * 12, 20 + 12 * row]
    return at


def write_film(path: Path) -> None:
    with VideoWriter(path, 96, 96, Fraction(24), "film") as writer:
        for frame in range(FRAMES):
            writer.write(np.roll(a_picture(), frame, 0))


def write_matte(path: Path) -> None:
    with VideoWriter(path, 96, 96, Fraction(24), "mask") as writer:
        for frame in range(FRAMES):
            writer.write(np.roll(a_picture()[..., 0], frame, 0))


def encoded_by_pillow(name: str, **options: object) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        content = io.BytesIO()
        Image.fromarray(a_picture()).save(content, format=name, **options)
        path.write_bytes(content.getvalue())

    return write


def write_panorama(path: Path) -> None:
    cv2.imwrite(str(path), np.hstack([a_picture()] * 2).astype(np.float32) / 255)


def write_exr(path: Path) -> None:
    light = np.ascontiguousarray(np.hstack([a_picture()] * 2).astype(np.float16) / 255)
    header = {"type": OpenEXR.scanlineimage, "compression": OpenEXR.ZIP_COMPRESSION}
    OpenEXR.File(header, {name: np.ascontiguousarray(light[..., i]) for i, name in enumerate("RGB")}).write(str(path))


def write_dpx(path: Path) -> None:
    stream = av.codec.CodecContext.create("dpx", "w")
    stream.width, stream.height, stream.pix_fmt, stream.time_base = 96, 96, "rgb24", Fraction(1, 24)
    (packet,) = stream.encode(av.VideoFrame.from_ndarray(a_picture(), "rgb24"))
    path.write_bytes(bytes(packet))


def read_sequence_picture(path: Path) -> None:
    header = read_frame_header(path)
    read_frame_picture(path, header, None, header.width, header.height)


def write_manifest(path: Path) -> None:
    project = Project(path.parent)

    def work(folder: Path) -> dict:
        (folder / "cuts.json").write_text('{"first_frame": 1, "first_frames": [1]}')
        return {"people": 1, "seen": [1.0]}

    project.run("cuts", {}, {}, ["cuts.json"], work)
    project.header = {"shot": {"file": "a.mp4"}}
    project.save()
    project.close()


def read_manifest(path: Path) -> None:
    project = Project(path.parent)
    try:
        project.find_edits()
        for name in list(project.stages):
            project.run(name, {}, {"other": True}, ["cuts.json"], lambda folder: (folder / "cuts.json").touch())
    finally:
        project.close()


def read_shot(path: Path) -> None:
    shot = open_shot(path)
    for _ in read_frames(shot):
        pass


def read_few_frames(path: Path) -> None:
    for _ in read_video(path, [0, 2, 5]):
        pass


def read_whole_set(path: Path) -> None:
    from understudy.studio.scene.set_pictures import read_set

    read_set(path).views(4)


def write_joints(path: Path) -> None:
    path.write_text(json.dumps(some_joints()))


def write_cameras_of_a_set(path: Path) -> None:
    path.write_text(json.dumps(unreal_text_from_cameras({"cam01": a_camera().T_world_camera})))


def write_light(path: Path) -> None:
    save_light(path, Light(np.array([0.6, 0.8, 0.0]), np.ones(3), np.ones(3) * 0.3, np.ones(3) * 0.1))


FILE_KINDS = {
    "bvh": FileKind("motion.bvh", lambda path: write_bvh(path, a_motion()), read_bvh),
    "edited bvh": FileKind(
        "motion.bvh", lambda path: write_bvh(path, a_motion()), lambda path: read_bvh(path, box_person().skeleton)
    ),
    "motion": FileKind("motion.npz", lambda path: write_motion_npz(path, a_motion()), read_motion_npz),
    "landmarks": FileKind("landmarks_1.npz", lambda path: write_landmarks_npz(path, a_track()), read_landmarks_npz),
    "solution": FileKind("solution.npz", lambda path: save_solution(path, a_solution()), load_solution),
    "fit": FileKind(
        "fit.npz",
        lambda path: save_fit(path, BodyFit(np.zeros(FRAMES), np.ones((FRAMES, 2), bool), np.eye(4))),
        load_fit,
    ),
    "camera": FileKind("source.json", lambda path: write_camera_json(path, a_camera()), read_camera_json),
    "cameras of a set": FileKind("cameras.json", write_cameras_of_a_set, read_unreal_cameras),
    "RealEstate10K": FileKind(
        "camera.txt",
        lambda path: write_realestate10k(path, a_camera(), "a film"),
        lambda path: read_realestate10k(path, 640, 360),
    ),
    "light": FileKind("light.json", write_light, load_light),
    "joints": FileKind("joints.json", write_joints, read_joints),
    "manifest": FileKind(f"film/{MANIFEST}", write_manifest, read_manifest),
    "rig": FileKind("rig.glb", lambda path: write_character(path, box_person()), character_from_rig),
    "png": FileKind("hero.png", encoded_by_pillow("PNG"), read_picture),
    "jpeg": FileKind("hero.jpg", encoded_by_pillow("JPEG"), read_picture),
    "webp": FileKind("hero.webp", encoded_by_pillow("WEBP"), read_picture),
    "tiff": FileKind("hero.tif", encoded_by_pillow("TIFF", compression="tiff_lzw"), read_picture),
    "gif": FileKind("hero.gif", encoded_by_pillow("GIF"), read_picture),
    "bmp": FileKind("hero.bmp", encoded_by_pillow("BMP"), read_picture),
    "panorama": FileKind("set.hdr", write_panorama, read_whole_set),
    "panorama in OpenEXR": FileKind("set.exr", write_exr, read_whole_set),
    "OpenEXR of a sequence": FileKind("shot.0001.exr", write_exr, read_sequence_picture),
    "DPX of a sequence": FileKind("shot.0001.dpx", write_dpx, read_sequence_picture),
    "presence": FileKind(
        "presence.json",
        lambda path: save_presence(path, Presence(np.ones(FRAMES, bool), 1)),
        lambda path: load_presence(path, FRAMES),
    ),
    "film": FileKind("shot.mp4", write_film, read_shot),
    "matte": FileKind("mask.mkv", write_matte, read_few_frames),
}
"""By a name for tables."""
