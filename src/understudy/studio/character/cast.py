"""Casting: a picture, a rig or a mesh becomes a character in a folder of its own, shown from all sides.

The folder follows the rules of a film's (`studio.project`): the same command, given again, makes only what changed; a
file that the user has edited stays, and what depends on it is made anew.
"""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from understudy.characters.mesh.character import character_from_mesh
from understudy.characters.picture.figure import FigureInPicture, find_cutout, find_figure
from understudy.characters.picture.joints import POINTS
from understudy.characters.rig.character import character_from_rig
from understudy.characters.rig.facts import RigFacts, rig_facts
from understudy.characters.sheet.sheet import SheetPicture, with_sheet
from understudy.characters.sheet.views import FreeView, with_views
from understudy.core.character import Character
from understudy.io.files import check_file
from understudy.io.gltf.write import write_character
from understudy.io.meshes import read_mesh
from understudy.io.pictures.files import read_picture, write_png
from understudy.io.video.streams import VideoWriter
from understudy.runtime.errors import InputError, PictureError, printable, quoted
from understudy.studio.character.config import CastConfig, renderer_named
from understudy.studio.character.files import CUTOUT_FILE, GENERATED, JOINTS_FILE, REPORT_FILE, TURNTABLE_FILE
from understudy.studio.character.filming import FRAME_RATE, film
from understudy.studio.character.generators import generator_named, run_generator
from understudy.studio.character.page import CastPage, character_page
from understudy.studio.character.showing import turntable
from understudy.studio.narration import Narrator, SilentNarrator
from understudy.studio.outputs import check_outside
from understudy.studio.pipeline.stage import Run, plain
from understudy.studio.pipeline.stages.casting import (
    CAST_FILE,
    MAX_CHARACTER_BYTES,
    CharacterFiles,
    CharacterSettings,
    check_character,
    doubts_about,
    is_model,
    kind_of,
    make_character,
    model_files,
    readable,
    report_on,
)
from understudy.studio.pipeline.stages.figure_detectors import FigureLandmarks
from understudy.studio.project import Project, StageRecord, file_hash
from understudy.studio.stage_reports import CharacterReport

__all__ = ["Cast", "cast", "cast_with"]


@dataclass(frozen=True)
class Cast:
    """A character in its folder."""

    folder: Path
    character: Path
    """The rigged character, as GLB."""
    turntable: Path
    """A film: it turns once, then walks."""
    report: Path
    """How well it came out, as one HTML page."""
    executed: tuple[str, ...]
    """What had to be made this time."""


@dataclass(frozen=True)
class CastReport:
    """What was made, as the manifest keeps it."""

    character: CharacterReport
    remarks: list[str]
    """What was left out, chosen or repaired."""
    rig: RigFacts | None
    """Of a rig."""


def cast(character: str | Path, out: str | Path, **options: Any) -> Cast:
    """Make a character of one picture or a mesh, or check a rig; see it from all sides, in poses and walking.

    Args:
        character: one picture of a whole figure, or a model with a rig or without: GLB, glTF, VRM, OBJ, PLY or STL; by
            Blender FBX, .blend, USD or Collada.
        out: the folder for the character; a second call with the same folder redoes only what changed.
        options: fields of `CastConfig`.

    Raises:
        InputError: something that was given cannot be used; its text is one sentence.
        BackendUnavailable: a library or weights are missing; its text says how to get them.
    """
    return cast_with(Path(character), Path(out), CastConfig(**options), SilentNarrator())


def cast_with(source: Path, out: Path, config: CastConfig, narrator: Narrator) -> Cast:
    """`cast`, with a narrator who is told of the progress."""
    joints, cutout = config.joints or config.picture.joints, config.cutout or config.picture.mask
    views = [given_view(text) for text in config.view]
    for given in (source, joints, cutout, config.back, config.side, *(path for path, _ in views)):
        if given is not None:
            check_outside(given, out)
    check_character(source, joints, cutout)
    _check_sheet(source, config)
    if config.generator:
        if is_model(source):
            raise InputError(f"--generator makes a mesh of a picture; {quoted(source.name)} is a model: leave it out")
        generator_named(config.generator, config.generators)
    project = Project(out, narrator.say, "character")
    try:
        for name in project.find_edits():
            narrator.say(f"{name} was edited by you; what depends on it is made anew")
        project.header = {
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "characters": [{"file": source.name, "sha256": file_hash(source)}],
            "config": plain(asdict(config)),
        }
        files = CharacterFiles(source, joints or _edit(project, JOINTS_FILE), cutout or _edit(project, CUTOUT_FILE))
        generated = _generate(project, files, config, narrator) if config.generator else None
        report = _make(project, files, generated, config, narrator)
        _turn(project, config, narrator)
        _show(project, files, report, config, narrator)
        project.forget_other_stages()
        project.save()
        character, turntable, report_page = (project.path(name) for name in (CAST_FILE, TURNTABLE_FILE, REPORT_FILE))
        return Cast(out, character, turntable, report_page, tuple(project.executed))
    finally:
        project.close()


def _check_sheet(source: Path, config: CastConfig) -> None:
    """See whether pictures from other sides are there, and can be used.

    Raises:
        InputError: they cannot.
    """
    others = [("--view", given_view(text)[0]) for text in config.view]
    for option, path in (("--back", config.back), ("--side", config.side), *others):
        if path is None:
            continue
        if is_model(source) or config.generator:
            raise InputError(f"{option} completes a character that we make of a picture; leave it out")
        check_file(path, f"picture for {option}", MAX_CHARACTER_BYTES, PictureError)


def _edit(project: Project, name: str) -> Path | None:
    """What the user has made of a file that tells which figure was found."""
    return project.path(name) if name in project.edits and project.path(name).is_file() else None


def _generate(project: Project, files: CharacterFiles, config: CastConfig, narrator: Narrator) -> Path:
    """The mesh that a generator makes of the figure in the picture; what it wrote."""
    name = config.generator
    assert name is not None
    generator = generator_named(name, config.generators)
    mesh = f"{GENERATED}/mesh.{generator.mesh}"

    def work(scratch: Path, run: Run) -> None:
        figure = find_figure(files.path, FigureLandmarks(), files.joints, files.cutout)
        (scratch / GENERATED).mkdir()
        picture = scratch / GENERATED / "picture.png"
        write_png(picture, np.dstack([read_picture(files.path)[..., :3], figure.cutout.astype(np.uint8) * 255]))
        run_generator(generator, name, picture, scratch / mesh, run.progress)
        read_mesh(scratch / mesh)

    reads = {"picture": files.path} | ({"cutout": files.cutout} if files.cutout else {})
    settings = {"generator": config.generator, **generator.model_dump()}
    _run(project, narrator, "generator", reads, settings, [GENERATED], work)
    return project.path(mesh)


def _make(
    project: Project, files: CharacterFiles, generated: Path | None, config: CastConfig, narrator: Narrator
) -> CastReport:
    """The character; of a picture also the figure that was found in it, where the user has not said which."""
    height_m = config.height_m or config.picture.height_m
    settings = CharacterSettings(config.height_m, config.figure, replace(config.picture, height_m=height_m))
    reads, outputs = {"character": files.path}, [CAST_FILE]
    if is_model(files.path):
        reads = model_files(files.path)
    else:
        by_name = {"joints": files.joints, "cutout": files.cutout, "mesh": generated and generated.parent}
        by_name |= {"back": config.back, "side": config.side}
        by_name |= {f"view {number}": given_view(text)[0] for number, text in enumerate(config.view, 1)}
        reads |= {name: file for name, file in by_name.items() if file}
        outputs += [name for name in (CUTOUT_FILE, JOINTS_FILE) if name not in project.edits]

    def work(scratch: Path, run: Run) -> CastReport:
        remarks = list[str]()

        def say(remark: str) -> None:
            remarks.append(printable(remark))
            run.say(remark)

        found: list[FigureInPicture] = []
        facts = None
        if generated is None:
            with readable(files) as given:
                character = make_character(given, settings, Run(run.progress, say), found.append)
                kind = kind_of(given.path)
                facts = rig_facts(given.path, character) if kind == "rig" else None
            character = with_sheet(character, *(_sheet_picture(path) for path in (config.back, config.side)))
            if config.view:
                character, seen = with_views(character, [_free_view(text) for text in config.view])
                for view in seen:
                    say(view.sentence)
        else:
            kind = "picture"
            found.append(find_figure(files.path, FigureLandmarks(), files.joints, files.cutout))
            made = character_from_mesh(read_mesh(generated), found[0], height_m, files.path.stem)
            character = made.character
            for remark in made.remarks:
                say(f"{generated.name}: {remark}")
        write_character(scratch / CAST_FILE, character)
        for figure in found:
            _write_figure(scratch, figure)
        return CastReport(report_on(character, files, kind), remarks, facts)

    told = plain(asdict(settings)) | (
        {"azimuths": [given_view(text)[1] for text in config.view]} if config.view else {}
    )
    record = _run(project, narrator, "character", reads, told, outputs, work)
    report = TypeAdapter(CastReport).validate_json(json.dumps(record.report))
    for sentence in doubts_about(report.character, config.strict):
        narrator.say(sentence)
    return report


def given_view(text: str) -> tuple[Path, float | None]:
    """A picture for --view, and from where it is seen in radians, if that is told: NAME, or NAME:DEGREES."""
    name, colon, degrees = text.rpartition(":")
    if not colon or Path(text).is_file() or not re.fullmatch(r"[-+]?[0-9]+(\.[0-9]*)?", degrees):
        return Path(text), None
    return Path(name), float(np.radians(float(degrees)))


def _free_view(text: str) -> FreeView:
    path, azimuth = given_view(text)
    return FreeView(path.name, SheetPicture(*find_cutout(path, FigureLandmarks())), azimuth)


def _sheet_picture(path: Path | None) -> SheetPicture | None:
    return None if path is None else SheetPicture(*find_cutout(path, FigureLandmarks()))


def _write_figure(folder: Path, figure: FigureInPicture) -> None:
    """The figure's cut-out and joints, as --cutout and --joints take them."""
    (folder / CUTOUT_FILE).parent.mkdir(parents=True)
    write_png(folder / CUTOUT_FILE, figure.cutout.astype(np.uint8) * 255)
    joints = {
        name: [round(float(x), 1), round(float(y), 1)] for name, (x, y) in zip(POINTS, figure.points_px, strict=True)
    }
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(place)}" for name, place in joints.items())
    (folder / JOINTS_FILE).write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def _turn(project: Project, config: CastConfig, narrator: Narrator) -> None:
    """The turntable."""

    def work(scratch: Path, run: Run) -> None:
        performance, camera = turntable(_character(project))
        with VideoWriter(scratch / TURNTABLE_FILE, camera.width, camera.height, FRAME_RATE, "film") as writer:
            for frame in film(performance, camera, renderer_named(config.renderer)):
                writer.write(frame)
                run.progress(writer.count, len(camera))

    reads = {"character": project.path(CAST_FILE)}
    _run(project, narrator, "turntable", reads, {"renderer": config.renderer}, [TURNTABLE_FILE], work)


def _show(project: Project, files: CharacterFiles, report: CastReport, config: CastConfig, narrator: Narrator) -> None:
    """The report."""
    reads = {"character": project.path(CAST_FILE), "turntable": project.path(TURNTABLE_FILE)}
    if not is_model(files.path):
        reads |= {"picture": files.path, "cutout": project.path(CUTOUT_FILE), "joints": project.path(JOINTS_FILE)}

    def work(scratch: Path, run: Run) -> None:
        page = CastPage(
            character=_character(project),
            report=report.character,
            remarks=report.remarks,
            rig=report.rig,
            picture=reads.get("picture"),
            cutout=project.path(CUTOUT_FILE),
            joints=project.path(JOINTS_FILE),
            turntable=project.path(TURNTABLE_FILE),
            generator=config.generator,
            made_up=_made_up(files, config),
        )
        text = character_page(page, renderer_named(config.renderer), run.progress)
        (scratch / REPORT_FILE).write_text(text, encoding="utf-8")

    settings = {"renderer": config.renderer, "generator": config.generator, "report": plain(asdict(report))}
    settings |= {"made up": _made_up(files, config)}
    _run(project, narrator, "report", reads, settings, [REPORT_FILE], work)


def _made_up(files: CharacterFiles, config: CastConfig) -> list[str]:
    """What no picture shows."""
    if is_model(files.path):
        return []
    if config.generator:
        return [f"Its back and its sides, by generator {config.generator}: the picture shows the front alone."]
    if config.view:
        return ["What none of its pictures shows; a side that none shows is the mirror image of the other."]
    if config.back and config.side:
        return ["One of its sides: it is the mirror image of the other."]
    if config.back:
        return ["Its sides and its depth: no picture shows them."]
    return [
        "Its back: no picture shows it."
        if config.side
        else "Its back and its sides: the picture shows the front alone."
    ]


def _character(project: Project) -> Character:
    return character_from_rig(project.path(CAST_FILE))


def _run(
    project: Project,
    narrator: Narrator,
    name: str,
    reads: dict[str, Path],
    settings: dict[str, Any],
    outputs: list[str],
    work: Callable[[Path, Run], CastReport | None],
) -> StageRecord:
    """Bring one part of the folder up to date."""

    def told(scratch: Path) -> dict[str, Any]:
        with narrator.stage(name) as progress:
            report = work(scratch, Run(progress, narrator.say))
        return {} if report is None else plain(asdict(report))

    return project.run(name, reads, settings, outputs, told)
