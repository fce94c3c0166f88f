"""What `understudy plate` and `understudy matte` have in common: a shot is taken apart, without a character."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from understudy.cli.console import ConsoleNarrator
from understudy.core.footage import ColourSpace
from understudy.runtime.errors import printable

__all__ = ["ShotOptions", "decompose_shot"]


@dataclass(frozen=True)
class ShotOptions:
    """The shot and the part of it that counts."""

    shot: tyro.conf.Positional[Path]
    """The film shot: any video that FFmpeg reads, or an image sequence."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder for what is made, as of a film: `understudy recast` into the same folder goes on from there."""
    start: float | None = None
    """Seconds into the file at which the shot starts."""
    end: float | None = None
    """Seconds into the file at which it ends."""
    frame_rate: float | None = None
    """Of an image sequence: its pictures a second (default: what they say, or 24)."""
    colour_space: ColourSpace | None = None
    """Of an image sequence: what its pictures store."""
    actor: int = 1
    """Whom it is about, when several people are in the shot: 1 is the main actor."""
    workers: int | None = None
    """How many cores may be kept busy (default: all of up to four, all but one of more)."""


def decompose_shot(
    verb: str,
    parse: Callable[..., ShotOptions],
    arguments: Sequence[str],
    kind: type[ShotOptions],
    until: Literal["plate", "mask"],
    made: Sequence[str],
) -> None:
    """Parse the arguments, take the shot apart up to a stage, and say where the files of `made` are, in every cut."""
    options = parse(kind, f"understudy {verb}", arguments)
    from understudy.studio.pipeline.config import RecastConfig
    from understudy.studio.recast import decompose  # heavy: only once the arguments are known to be right

    given = {name: value for name, value in vars(options).items() if name not in ("shot", "out")}
    film = decompose(options.shot, options.out, RecastConfig(**given), ConsoleNarrator(), until)
    print()
    for name in made:
        for path in sorted({*film.folder.glob(name), *film.folder.glob(f"cut_*/{name}")}):
            print(f"{path.stem:<12}{printable(path)}")
