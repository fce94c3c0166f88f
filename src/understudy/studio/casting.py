"""The character: from a picture or a rig to a rigged GLB in the film's folder."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from understudy.characters.picture import PictureConfig, character_from_picture
from understudy.characters.rig import character_from_rig
from understudy.core.character import Character
from understudy.core.errors import CharacterError
from understudy.core.progress import Progress
from understudy.decompose.landmarks import LandmarkModel
from understudy.io.gltf import write_character
from understudy.studio.config import RecastConfig
from understudy.studio.narration import Narrator
from understudy.studio.project import Project

__all__ = ["character_stage"]

RIG_SUFFIXES = (".glb", ".gltf", ".vrm")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def character_stage(project: Project, path: Path, config: RecastConfig, narrator: Narrator) -> None:
    """Make `character/character.glb` from a picture or a rig.

    Raises:
        CharacterError: the file is neither, or cannot be used.
    """
    if not path.is_file():
        raise CharacterError(f"there is no file {path}; give a picture (PNG, JPEG) or a rigged model (GLB, glTF, VRM)")
    suffix = path.suffix.lower()
    if suffix not in (*RIG_SUFFIXES, *PICTURE_SUFFIXES):
        raise CharacterError(
            f"{path} is neither a picture (PNG, JPEG, WebP) nor a rigged model (GLB, glTF, VRM); convert it first"
        )
    height_m = config.character_height_m
    settings: dict[str, Any] = {"height_m": height_m}
    reads = {"character": path}
    picture_config = PictureConfig()
    if suffix in PICTURE_SUFFIXES:
        height_m = height_m or config.height_m
        picture_config = PictureConfig(
            **({} if height_m is None else {"height_m": height_m}), joints=config.joints, mask=config.cutout
        )
        settings |= {name: value for name, value in asdict(picture_config).items() if not isinstance(value, Path)}
        reads |= {name: file for name, file in (("joints", config.joints), ("cutout", config.cutout)) if file}

    def load(progress: Progress) -> Character:
        if suffix in RIG_SUFFIXES:
            return character_from_rig(path, height_m)
        return character_from_picture(path, LandmarkModel(), picture_config, progress)

    def work(scratch: Path) -> dict[str, Any]:
        with narrator.stage("character") as progress:
            character = load(progress)
        (scratch / "character").mkdir()
        write_character(scratch / "character/character.glb", character)
        return {
            "height_m": round(character.height_m, 3),
            "vertices": len(character.mesh.vertices),
            "joints": len(character.skeleton),
            "roles": len(character.roles),
            "from": "picture" if suffix in PICTURE_SUFFIXES else "rig",
        }

    project.run("character", reads, settings, ["character/character.glb"], work)
