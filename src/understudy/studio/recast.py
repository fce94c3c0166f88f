"""The main job: a shot and a character in, the film's folder out."""

import json
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import numpy as np

from understudy.core.footage import Shot
from understudy.decompose.cuts import find_cuts
from understudy.io.records import Record, read_record
from understudy.io.video.frame_rates import frame_rate_from_decimal
from understudy.io.video.streams import open_shot, read_frames
from understudy.runtime.errors import FileFormatError, InputError, NobodyInShot, quoted
from understudy.runtime.parallel import limit_workers
from understudy.studio.narration import Narrator, SilentNarrator
from understudy.studio.pipeline import finishing as filming
from understudy.studio.pipeline import stages
from understudy.studio.pipeline.camera_exports import camera_exports_stage
from understudy.studio.pipeline.casting import character_stage, check_character
from understudy.studio.pipeline.config import FilmCodec, RecastConfig
from understudy.studio.pipeline.cut import Cut
from understudy.studio.pipeline.delivery import check_codec, film_name, write_in_codec
from understudy.studio.pipeline.edits import check_edited_films, check_edits
from understudy.studio.project import Project, file_hash, files_hash
from understudy.studio.report.report import report_stage

__all__ = ["Film", "recast", "recast_with"]

MOST_CUTS_BYTES = 4 << 20


@dataclass(frozen=True)
class Film:
    """A finished film on disk."""

    folder: Path
    film: Path
    """The recast shot: a file, or a folder of pictures."""
    report: Path
    """How well each stage did, as one HTML page."""
    executed: tuple[str, ...]
    """The stages that had to run this time."""


def recast(shot: str | Path, character: str | Path, out: str | Path, **options: Any) -> Film:
    """Re-shoot a film shot with a character in the actor's place.

    Args:
        shot: any video file; or an image sequence: its folder, a pattern (shot.####.exr), or its first picture.
        character: one picture, or a rigged GLB, glTF or VRM.
        out: the folder for the film; a second call with the same folder redoes only what changed.
        options: fields of `RecastConfig`.

    Raises:
        InputError: something that was given cannot be used; its text is one sentence.
        BackendUnavailable: a library or weights are missing; its text says how to get them.
    """
    return recast_with(Path(shot), Path(character), Path(out), RecastConfig(**options), SilentNarrator())


def recast_with(shot_path: Path, character_path: Path, out: Path, config: RecastConfig, narrator: Narrator) -> Film:
    """`recast`, with a narrator who is told of the progress."""
    for given in (shot_path, character_path, config.joints, config.cutout):
        if given is not None:
            _check_outside(given, out)
    check_character(character_path, config)
    rate = None if config.frame_rate is None else frame_rate_from_decimal(config.frame_rate)
    shot = open_shot(shot_path, config.start, config.end, rate, config.colour_space)
    check_codec(config.film_codec, shot)
    with limit_workers(config.workers):
        return _recast(shot, character_path, out, config, narrator)


def _check_outside(given: Path, out: Path) -> None:
    """Raise InputError where the film's own folder would be made from a file in it, which it may replace or remove."""
    place = Path(os.path.realpath(given))  # Takes a link that leads to itself, too.
    if out.is_dir() and any(one.exists() and one.samefile(out) for one in (place, *place.parents)):
        raise InputError(
            f"{quoted(given)} lies in {quoted(out)}, the folder of the film that is made from it; copy it elsewhere, or"
            " give another folder with -o"
        )


def _recast(shot: Shot, character_path: Path, out: Path, config: RecastConfig, narrator: Narrator) -> Film:
    project = Project(out, narrator.say)
    try:
        for name in project.find_edits():
            narrator.say(f"{name} was edited by you; what depends on it is made anew")
        check_edited_films(project)
        project.header = _header(shot, character_path, config)
        character_stage(project, character_path, config, narrator)
        cuts = _cuts(project, shot, config, narrator)
        played = [cut for cut in cuts if _recast_cut(cut, alone=len(cuts) == 1)]
        if not played:
            raise NobodyInShot(
                f"none of the {len(cuts)} cuts of {shot.path} shows actor {config.actor}; give a shot that does, or"
                " another --actor"
            )
        film_stage(project, shot, cuts, played, narrator)
        report_stage(project, shot, cuts, played, narrator)
        project.forget_other_stages()
        project.save()
        return Film(out, out / film_name(config.film_codec), out / "report.html", tuple(project.executed))
    finally:
        project.close()


def _header(shot: Shot, character: Path, config: RecastConfig) -> dict[str, Any]:
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "shot": {
            "file": shot.path.name,
            "sha256": files_hash(shot.pictures) if shot.pictures else file_hash(shot.path),
            "first_frame": shot.start_frame,
            "size_px": [shot.width, shot.height],
            "frames": len(shot),
            "frame_rate": str(shot.frame_rate),
            "duration_s": round(shot.duration_s, 6),
            "audio": shot.has_audio,
        },
        "character": {"file": character.name, "sha256": file_hash(character)},
        # The film does not depend on how many work on it.
        "config": {name: value for name, value in asdict(config).items() if name != "workers"},
    }


def _cuts(project: Project, shot: Shot, config: RecastConfig, narrator: Narrator) -> list[Cut]:
    """The shot, cut by cut."""
    whole, first = Cut(project, shot, config, narrator), config.first_frame

    def work(folder: Path, progress: Any) -> dict[str, Any]:
        found = find_cuts(shot, progress)
        starts = [first + cut.start_frame - shot.start_frame for cut in found]
        content = {"first_frame": first, "first_frames": starts}
        (folder / "cuts.json").write_text(json.dumps(content) + "\n", encoding="utf-8")
        return {}

    whole.run("cuts", [], {"first_frame": first}, ["cuts.json"], work, reads_shot=True)
    starts = _read_cuts(whole.path("cuts.json"), len(shot))
    if len(starts) == 1:
        return [whole]
    narrator.say(f"the shot holds {len(starts)} cuts; each is recast by itself")
    return [
        Cut(project, shot.part(start, stop), config, narrator, f"cut_{number:02d}/")
        for number, (start, stop) in enumerate(pairwise([*starts, len(shot)]), 1)
    ]


class _CutList(Record):
    first_frame: int
    """The number of the shot's first frame."""
    first_frames: list[int]
    """The number of each cut's first frame."""


def _read_cuts(path: Path, frames: int) -> list[int]:
    """The first frame of each cut, counted from 0, as found or as the user has corrected them."""
    record = read_record(path, _CutList, "list of cuts", MOST_CUTS_BYTES)
    first, starts = record.first_frame, record.first_frames
    if not starts or starts[0] != first or any(b - a < 2 for a, b in pairwise([*starts, first + frames])):
        raise FileFormatError(
            f"{quoted(path)} says that cuts start at {quoted(starts)[1:-1]}; expected {quoted(first)[1:-1]} and rising"
            f" numbers below {quoted(first + frames)[1:-1]}, two apart at least"
        )
    return [start - first for start in starts]


def _recast_cut(cut: Cut, alone: bool) -> bool:
    """All stages of one cut; False where the actor is not in it, which is an error only for a shot without cuts."""
    check_edits(cut)
    try:
        stages.people_stage(cut)
        stages.camera_stage(cut)
        stages.plate_stage(cut)
        stages.mask_stage(cut)
        stages.presence_stage(cut)
    except NobodyInShot as error:
        if alone:
            raise
        cut.narrator.say(f"{cut.prefix.rstrip('/')}: {error}; it stays as it is")
        return False
    stages.body_stage(cut)
    stages.retarget_stage(cut)
    stages.camera_fit_stage(cut)
    camera_exports_stage(cut)
    filming.light_stage(cut)
    filming.render_stage(cut)
    filming.scene_stage(cut)
    return True


def film_stage(project: Project, shot: Shot, cuts: list[Cut], played: list[Cut], narrator: Narrator) -> None:
    """The finished frames of all cuts in order, with the shot's sound."""
    whole = Cut(project, shot, cuts[0].config, narrator)
    reads, codec = [name for cut in played for name in filming.film_reads(cut)], whole.config.film_codec

    def work(folder: Path, progress: Any) -> dict[str, Any]:
        def frames() -> Iterator[np.ndarray]:
            done = 0
            for cut in cuts:
                for frame in filming.finished_frames(cut) if cut in played else read_frames(cut.shot):
                    yield frame
                    done += 1
                    progress(done, len(shot))

        return {"sound": write_in_codec(folder, codec, shot, frames(), whole.config.first_frame)}

    settings: dict[str, Any] = {cut.prefix: filming.film_settings(cut) for cut in played}
    settings |= {"codec": codec} | ({"first_frame": whole.config.first_frame} if codec == "exr" else {})
    whole.run("film", reads, settings, [film_name(codec)], work, reads_shot=True)
    for name in sorted({film_name(other) for other in get_args(FilmCodec)} - {film_name(codec)}):
        if project.path(name).exists():
            narrator.say(f"{name} is of an earlier run with another --film-codec, and may show another film")
