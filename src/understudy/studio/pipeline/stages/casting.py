"""The character: from a picture, a rig or a mesh to a rigged GLB in the film's folder."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from understudy.characters.picture.character import PictureConfig, character_from_picture
from understudy.characters.picture.figure import FigureInPicture, find_figure
from understudy.characters.protocol import without_hand
from understudy.characters.rig.character import character_from_rig
from understudy.core.character import Character
from understudy.io.blender.convert import BLENDER_SUFFIXES, converted_to_glb
from understudy.io.files import check_file
from understudy.io.gltf.document import files_beside
from understudy.io.meshes import PLAIN_SUFFIXES, files_of_mesh
from understudy.io.pictures.files import PICTURE_SUFFIXES
from understudy.runtime.errors import CharacterError, InputError, quoted
from understudy.studio.options import MODEL_KINDS, PICTURE_KINDS
from understudy.studio.pipeline.artifact import Scope
from understudy.studio.pipeline.artifacts import CHARACTER
from understudy.studio.pipeline.config import RecastConfig
from understudy.studio.pipeline.inputs import Target, makes, source
from understudy.studio.pipeline.production import Production
from understudy.studio.pipeline.stage import Run, Stage
from understudy.studio.pipeline.stages.figure_detectors import FigureLandmarks, can_find_hands, find_face, find_hand
from understudy.studio.pipeline.stages.unrigged import character_of_unrigged, has_skin
from understudy.studio.stage_reports import CharacterReport, Kind

__all__ = [
    "CASTING",
    "CAST_FILE",
    "MODEL_SUFFIXES",
    "CharacterFiles",
    "CharacterSettings",
    "character_file",
    "check_character",
    "doubts_about",
    "is_model",
    "kind_of",
    "make_character",
    "model_files",
    "readable",
    "report_on",
]

MAX_CHARACTER_BYTES = 1 << 30

CAST_FILE = "character.glb"
"""The name of a cast character's file in its folder."""
CHARACTER_FILES = (CAST_FILE, f"character/{CAST_FILE}")
"""Where the folders of a cast character and of a film hold it."""
GLTF_SUFFIXES = (".glb", ".gltf", ".vrm")
MODEL_SUFFIXES = (*GLTF_SUFFIXES, *PLAIN_SUFFIXES, *BLENDER_SUFFIXES)
"""Rigs, and meshes that are rigged by us."""


def character_file(given: Path) -> Path:
    """The file that is meant: of the folder of a cast character, or of a film, its rigged GLB, else what was given."""
    within = [given / name for name in CHARACTER_FILES] if given.is_dir() else []
    return next((path for path in within if path.is_file()), given)


def check_character(path: Path, joints: Path | None, cutout: Path | None) -> None:
    """See at a glance whether a file can be a character, and whether the files that help to read it are there.

    Raises:
        CharacterError: there is no such file, or it is neither a picture nor a model.
        InputError: there is no file with its joints or its cut-out.
    """
    if not path.is_file():
        raise CharacterError(
            f"there is no file {quoted(path)}; give a picture (PNG, JPEG), a model (GLB, glTF, VRM, OBJ, FBX), or the"
            " folder of `understudy cast`"
        )
    check_file(path, "character", MAX_CHARACTER_BYTES, CharacterError)  # Before all of it is hashed.
    if path.suffix.lower() not in (*MODEL_SUFFIXES, *PICTURE_SUFFIXES):
        raise CharacterError(
            f"{quoted(path)} is neither a picture ({PICTURE_KINDS}) nor a model ({MODEL_KINDS}); convert it first"
        )
    for option, file in (("--joints", joints), ("--cutout", cutout)):
        if file is not None and not file.is_file():
            raise InputError(f"there is no file {file}; give an existing file for {option}, or leave it out")
        if file is not None:
            check_file(file, f"file for {option}", MAX_CHARACTER_BYTES)


def joints_of(config: RecastConfig) -> Path | None:
    """The file with a picture's joints, if the user made one."""
    return config.joints or config.picture.joints


def cutout_of(config: RecastConfig) -> Path | None:
    """The file with a picture's cut-out, if the user made one."""
    return config.cutout or config.picture.mask


@dataclass(frozen=True)
class CharacterFiles:
    """What a character is made of."""

    path: Path
    joints: Path | None
    cutout: Path | None


def character_files(production: Production, scope: Scope) -> tuple[dict[str, Path], CharacterFiles]:
    """A picture with what was made for it by hand, or a model with the files that it names."""
    assert scope.role is not None
    path = production.characters[scope.role.character - 1]
    if is_model(path):
        return model_files(path), CharacterFiles(path, None, None)
    joints, cutout = joints_of(production.config), cutout_of(production.config)
    by_hand = {name: file for name, file in (("joints", joints), ("cutout", cutout)) if file}
    return {"character": path, **by_hand}, CharacterFiles(path, joints, cutout)


def model_files(path: Path) -> dict[str, Path]:
    """A model with the files beside it that it names, as far as we can read which; by names that stay."""
    suffix, beside = path.suffix.lower(), dict[str, Path]()
    if suffix in GLTF_SUFFIXES:
        beside = files_beside(path)
    elif suffix in PLAIN_SUFFIXES:
        beside, _ = files_of_mesh(path)
    return {"character": path, **{f"character/{name}": file for name, file in beside.items()}}


@contextmanager
def readable(files: CharacterFiles) -> Generator[CharacterFiles, None, None]:
    """The same files, until the block ends; with a GLB in the place of what Blender has to read.

    Raises:
        BackendUnavailable: there is no Blender.
        CharacterError: Blender cannot read it.
    """
    if files.path.suffix.lower() not in BLENDER_SUFFIXES:
        yield files
        return
    with converted_to_glb(files.path) as converted:
        yield replace(files, path=converted)


@dataclass(frozen=True)
class CharacterReads:
    """What the user gave."""

    files: CharacterFiles = source(character_files, "the picture or model")


@dataclass(frozen=True)
class CharacterMakes:
    """The rigged character."""

    character: Target[Character] = makes(CHARACTER)


@dataclass(frozen=True)
class CharacterSettings:
    """How the character is read."""

    height_m: float | None
    figure: int | None
    """Of a rig."""
    picture: PictureConfig
    """Its height is the character's or the actor's, where one is known."""


def cast_the_character(
    reads: CharacterReads, makes: CharacterMakes, settings: CharacterSettings, run: Run
) -> CharacterReport:
    """The character: from a picture, a rig or a mesh to a rigged GLB."""
    with readable(reads.files) as files:
        character = make_character(files, settings, run)
        kind = kind_of(files.path)
    makes.character.write(character)
    return report_on(character, reads.files, kind)


def make_character(
    files: CharacterFiles,
    settings: CharacterSettings,
    run: Run,
    watch: Callable[[FigureInPicture], None] = lambda found: None,
) -> Character:
    """The character of a picture or a model; `watch` is told which figure was found in a picture.

    Raises:
        InputError: the file cannot be read, or shows no figure that can be moved.
    """
    kind = kind_of(files.path)
    if kind == "mesh":
        landmarks = FigureLandmarks()
        character, said = character_of_unrigged(
            files.path, settings.height_m, lambda picture: find_figure(picture, landmarks, None, None), landmarks
        )
        for remark in said:
            run.say(remark)
        return character
    if kind == "rig":
        remarks = list[str]()
        character = character_from_rig(files.path, settings.height_m, figure=settings.figure, say=remarks.append)
        for remark in remarks:
            run.say(remark)
        return character
    config = replace(settings.picture, joints=files.joints, mask=files.cutout)
    landmarks = FigureLandmarks()  # may fetch an archive that holds the other networks, too
    fingers = can_find_hands()
    if not fingers:
        run.say("hands will have no fingers; what finds them is fetched by: understudy weights fetch hand_landmarks")
    hands = find_hand if fingers else without_hand
    return character_from_picture(files.path, landmarks, config, run.progress, watch, find_face, hands)


def is_model(path: Path) -> bool:
    """Whether a file is a model, a rig or a mesh, and no picture; by its name."""
    return path.suffix.lower() in MODEL_SUFFIXES


def kind_of(path: Path) -> Kind:
    """Whether a file is a picture, or a glTF, OBJ, PLY or STL file with a mesh that hangs on joints, or on none.

    Raises:
        CharacterError: it is a glTF file by its name, and none by what it holds.
    """
    if not is_model(path):
        return "picture"
    return "rig" if has_skin(path) else "mesh"


def report_on(character: Character, files: CharacterFiles, kind: Kind) -> CharacterReport:
    """What was made, in figures."""
    return CharacterReport(
        file=files.path.name,
        height_m=round(character.height_m, 3),
        vertices=len(character.mesh.vertices),
        joints=len(character.skeleton),
        roles=len(character.roles),
        made_from=kind,
        doubts=list(character.doubts),
    )


def doubts_about(report: CharacterReport, strict: bool) -> Iterator[str]:
    """What may be wrong with the character.

    Raises:
        CharacterError: there is doubt, and `strict` allows none.
    """
    for doubt in report.doubts:
        yield f"the character: {doubt.sentence}"
    if strict and report.doubts:
        sentences = " ".join(doubt.sentence for doubt in report.doubts)
        raise CharacterError(f"{report.file} leaves doubt (--strict): {sentences}")


def character_settings(config: RecastConfig) -> CharacterSettings:
    """A picture does not say how tall its figure is: the character's height counts, then the actor's."""
    height_m = config.character_height_m or config.height_m or config.picture.height_m
    return CharacterSettings(config.character_height_m, config.figure, replace(config.picture, height_m=height_m))


CASTING = Stage(
    "character",
    cast_the_character,
    character_settings,
    lambda report, config: doubts_about(report, config.strict),
)
