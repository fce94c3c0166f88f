"""The main job: a shot and a character in, the film's folder out."""

import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

from understudy.core.footage import Shot
from understudy.io.video.frame_rates import frame_rate_from_decimal
from understudy.io.video.streams import open_shot
from understudy.runtime.errors import NobodyInShot
from understudy.runtime.memory import hold_no_large_arrays
from understudy.runtime.parallel import limit_workers
from understudy.studio.delivery import check_codec, film_name
from understudy.studio.narration import Narrator, SilentNarrator
from understudy.studio.options import FilmCodec
from understudy.studio.outputs import check_outside
from understudy.studio.pipeline.artifact import Scope
from understudy.studio.pipeline.artifacts import CUTS
from understudy.studio.pipeline.config import RecastConfig
from understudy.studio.pipeline.edits import check_edits
from understudy.studio.pipeline.order import STAGES, in_cuts, stage_named
from understudy.studio.pipeline.production import Cut, Production, read
from understudy.studio.pipeline.stage import Stage
from understudy.studio.pipeline.stages.casting import character_file, check_character, cutout_of, joints_of
from understudy.studio.project import Project, file_hash, files_hash

__all__ = ["Film", "decompose", "recast", "recast_with", "run_stages"]


@dataclass(frozen=True)
class Film:
    """A finished film on disk."""

    folder: Path
    film: Path
    """The recast shot: a file, or a folder of pictures. Not there where an earlier stage was the last."""
    report: Path
    """How well each stage did, as one HTML page."""
    executed: tuple[str, ...]
    """The stages that had to run this time."""


def recast(
    shot: str | Path, character: str | Path, out: str | Path, *, until: str | None = None, **options: Any
) -> Film:
    """Re-shoot a film shot with a character in the actor's place.

    Args:
        shot: any video file; or an image sequence: its folder, a pattern (shot.####.exr), or its first picture.
        character: one picture; a model with a rig or without (GLB, glTF, VRM, OBJ, PLY, STL; by Blender FBX, .blend,
            USD or Collada); or the folder of a cast character.
        out: the folder for the film; a second call with the same folder redoes only what changed.
        until: the name of the stage to stop after (see `understudy stages`); None: the film and its report are made.
        options: fields of `RecastConfig`.

    Raises:
        InputError: something that was given cannot be used; its text is one sentence.
        BackendUnavailable: a library or weights are missing; its text says how to get them.
    """
    return recast_with(Path(shot), Path(character), Path(out), RecastConfig(**options), SilentNarrator(), until)


def recast_with(
    shot_path: Path,
    character_path: Path,
    out: Path,
    config: RecastConfig,
    narrator: Narrator,
    until: str | None = None,
) -> Film:
    """`recast`, with a narrator who is told of the progress."""
    if until is not None:
        stage_named(until)
    character_path = character_file(character_path)
    for given in (character_path, joints_of(config), cutout_of(config)):
        if given is not None:
            check_outside(given, out)
    check_character(character_path, joints_of(config), cutout_of(config))
    return _opened(shot_path, (character_path,), out, config, narrator, until)


def decompose(
    shot_path: Path, out: Path, config: RecastConfig, narrator: Narrator, until: Literal["plate", "mask"]
) -> Film:
    """The stages that need no character, up to the clean plate or to the actor's matte, in a film's folder.

    A recast into the same folder goes on from there.

    Raises:
        InputError: the shot cannot be read, or nobody is in it.
        BackendUnavailable: a library or weights are missing.
    """
    return _opened(shot_path, (), out, config, narrator, until)


def _opened(
    shot_path: Path,
    characters: tuple[Path, ...],
    out: Path,
    config: RecastConfig,
    narrator: Narrator,
    until: str | None,
) -> Film:
    check_outside(shot_path, out)
    rate = None if config.frame_rate is None else frame_rate_from_decimal(config.frame_rate)
    shot = open_shot(shot_path, config.start, config.end, rate, config.colour_space)
    check_codec(config.film_codec, shot)
    hold_no_large_arrays()
    with limit_workers(config.workers, shot.width * shot.height):
        return _recast(shot, characters, out, config, narrator, until)


def _recast(
    shot: Shot, characters: tuple[Path, ...], out: Path, config: RecastConfig, narrator: Narrator, until: str | None
) -> Film:
    project = Project(out, narrator.say)
    try:
        for name in project.find_edits():
            narrator.say(f"{name} was edited by you; what depends on it is made anew")
        project.header = _header(shot, characters, config)
        production = Production(project, shot, characters, config, narrator)
        run_stages(production, until)
        name = film_name(config.film_codec)
        if until is None or stage_named(until) is STAGES[-1]:
            project.forget_other_stages()
            _say_which_are_old(project, name, narrator)
        project.save()
        return Film(out, out / name, out / "report.html", tuple(project.executed))
    finally:
        project.close()


def run_stages(production: Production, until: str | None = None) -> None:
    """Run the stages in their order, those of cuts cut by cut; up to and with the one named.

    Raises:
        InputError: an edit does not fit the shot, or no cut shows the actors.
    """
    check_edits(production)
    for are_of_cuts, stages in in_cuts(until):
        if are_of_cuts:
            production.cuts = _cuts(production)
            production.played = [cut for cut in production.cuts if _play(production, cut, stages)]
            if not production.played:
                raise NobodyInShot(
                    f"none of the {len(production.cuts)} cuts of {production.shot.path} shows actor"
                    f" {production.config.actor}; give a shot that does, or another --actor"
                )
        else:
            for stage in stages:
                for scope in production.scopes(stage.level):
                    stage.run(production, scope)


def _cuts(production: Production) -> list[Cut]:
    """The shot, cut by cut."""
    shot, starts = production.shot, read(CUTS, production, Scope()).starts
    if len(starts) == 1:
        return [Cut(shot)]
    production.narrator.say(f"the shot holds {len(starts)} cuts; each is recast by itself")
    pieces = enumerate(pairwise([*starts, len(shot)]), 1)
    return [Cut(shot.part(start, stop), f"cut_{number:02d}/") for number, (start, stop) in pieces]


def _play(production: Production, cut: Cut, stages: Sequence[Stage[Any, Any, Any, Any]]) -> bool:
    """Run the stages of one cut; False where the actor is not in it, an error only for a shot without cuts."""
    check_edits(production, cut)
    try:
        for stage in stages:
            for scope in production.scopes(stage.level, cut):
                stage.run(production, scope)
    except NobodyInShot as error:
        if len(production.cuts) == 1:
            raise
        production.narrator.say(f"{cut.prefix.rstrip('/')}: {error}; it stays as it is")
        return False
    return True


def _say_which_are_old(project: Project, film: str, narrator: Narrator) -> None:
    for name in sorted({film_name(other) for other in get_args(FilmCodec)} - {film}):
        if project.path(name).exists():
            narrator.say(f"{name} is of an earlier run with another --film-codec, and may show another film")


def _header(shot: Shot, characters: Sequence[Path], config: RecastConfig) -> dict[str, Any]:
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
        "characters": [{"file": path.name, "sha256": file_hash(path)} for path in characters],
        # The film does not depend on how many work on it.
        "config": {name: value for name, value in asdict(config).items() if name != "workers"},
    }
