"""The character: from a picture or a rig to a rigged GLB in the film's folder."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from understudy.characters.picture.character import PictureConfig, character_from_picture
from understudy.characters.protocol import Detection
from understudy.characters.rig.character import character_from_rig
from understudy.core.character import Character
from understudy.decompose.people.landmarks import Crop, PoseEstimate, PoseModel
from understudy.io.files import check_file
from understudy.io.gltf.document import files_beside
from understudy.io.gltf.write import write_character
from understudy.io.pictures.files import PICTURE_SUFFIXES
from understudy.io.weights import ensure_weights
from understudy.runtime.errors import CharacterError, InputError
from understudy.runtime.progress import Progress
from understudy.studio.narration import Narrator
from understudy.studio.pipeline.config import RecastConfig
from understudy.studio.project import Project

__all__ = ["FigureLandmarks", "character_stage", "check_character"]

MOST_CHARACTER_BYTES = 1 << 30

RIG_SUFFIXES = (".glb", ".gltf", ".vrm")
_SURE = 0.1
"""From what presence on a body counts as found: low, because drawn figures are unlike the model's photographs."""


class FigureLandmarks:
    """The landmark model on the one figure of a picture: a `LandmarkDetector`."""

    def __init__(self) -> None:
        self._model = PoseModel(ensure_weights("blazepose"))

    def __call__(self, picture: UInt8[np.ndarray, "height width 3"]) -> Detection | None:
        """Look where the detector points, or at the whole picture; look twice, the second time centred on the body."""
        height, width = picture.shape[:2]
        whole = Crop(np.array([width / 2, height / 2]), float(max(width, height)), 0.0)
        (detections,) = self._model.detect(picture, [whole])
        (pose,) = self._model.estimate(picture, [detections[0].crop if detections else whole])
        if pose.presence > _SURE:
            (pose,) = self._model.estimate(picture, [pose.next_crop])
        if pose.presence < _SURE:
            return None
        return pose.landmarks_px, pose.visibility, pose.landmarks_m, _mask_in_picture(pose, width, height)


def _mask_in_picture(pose: PoseEstimate, width: int, height: int) -> Float[np.ndarray, "height width"]:
    M = pose.crop.picture_from_crop(len(pose.mask))
    # OpenCV counts from the centre of the first pixel, we from its corner.
    M = np.column_stack([M[:, :2], M[:, 2] + M[:, :2] @ np.full(2, 0.5) - 0.5])
    return cv2.warpAffine(pose.mask, M, (width, height), flags=cv2.INTER_LINEAR) / 255.0


def check_character(path: Path, config: RecastConfig) -> None:
    """See at a glance whether a file can be a character, and whether the files that help to read it are there.

    Raises:
        CharacterError: there is no such file, or it is neither a picture nor a rig.
        InputError: there is no file with its joints or its cut-out.
    """
    if not path.is_file():
        raise CharacterError(f"there is no file {path}; give a picture (PNG, JPEG) or a rigged model (GLB, glTF, VRM)")
    check_file(path, "character", MOST_CHARACTER_BYTES, CharacterError)  # Before all of it is hashed.
    if path.suffix.lower() not in (*RIG_SUFFIXES, *PICTURE_SUFFIXES):
        raise CharacterError(
            f"{path} is neither a picture (PNG, JPEG, WebP) nor a rigged model (GLB, glTF, VRM); convert it first"
        )
    for option, file in (("--joints", config.joints), ("--cutout", config.cutout)):
        if file is not None and not file.is_file():
            raise InputError(f"there is no file {file}; give an existing file for {option}, or leave it out")
        if file is not None:
            check_file(file, f"file for {option}", MOST_CHARACTER_BYTES)


def character_stage(project: Project, path: Path, config: RecastConfig, narrator: Narrator) -> None:
    """Make `character/character.glb` from a picture or a rig.

    Raises:
        CharacterError: the file cannot be used, or leaves doubt and `config.strict` allows none.
    """
    suffix = path.suffix.lower()
    height_m = config.character_height_m
    settings: dict[str, Any] = {"height_m": height_m}
    reads = {"character": path}
    if suffix in RIG_SUFFIXES:
        settings |= {"figure": config.figure}
        reads |= {f"character/{uri}": file for uri, file in files_beside(path).items()}
    picture_config = PictureConfig()
    if suffix in PICTURE_SUFFIXES:
        height_m = height_m or config.height_m
        picture_config = PictureConfig(
            **({} if height_m is None else {"height_m": height_m}), joints=config.joints, mask=config.cutout
        )
        settings |= {name: value for name, value in asdict(picture_config).items() if not isinstance(value, Path)}
        reads |= {name: file for name, file in (("joints", config.joints), ("cutout", config.cutout)) if file}

    remarks: list[str] = []

    def load(progress: Progress) -> Character:
        if suffix in RIG_SUFFIXES:
            return character_from_rig(path, height_m, figure=config.figure, say=remarks.append)
        return character_from_picture(path, FigureLandmarks(), picture_config, progress)

    def work(scratch: Path) -> dict[str, Any]:
        with narrator.stage("character") as progress:
            character = load(progress)
        for remark in remarks:
            narrator.say(remark)
        (scratch / "character").mkdir()
        write_character(scratch / "character/character.glb", character)
        return {
            "height_m": round(character.height_m, 3),
            "vertices": len(character.mesh.vertices),
            "joints": len(character.skeleton),
            "roles": len(character.roles),
            "from": "picture" if suffix in PICTURE_SUFFIXES else "rig",
            "doubts": [asdict(doubt) for doubt in character.doubts],
        }

    record = project.run("character", reads, settings, ["character/character.glb"], work)
    doubts = [doubt["sentence"] for doubt in record.report.get("doubts", ())]
    for doubt in doubts:
        narrator.say(f"the character: {doubt}")
    if config.strict and doubts:
        raise CharacterError(f"{path.name} leaves doubt (--strict): {' '.join(doubts)}")
