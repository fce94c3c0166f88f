"""`understudy demo`: recast the sample that comes with the package."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import tyro

from understudy.cli.arguments import parse
from understudy.cli.verbs import recast

__all__ = ["main"]


@dataclass(frozen=True)
class _Arguments:
    """Recast the sample that comes with the package: a walk through a courtyard, 4.5 seconds long."""

    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("film")
    """Folder for the film and everything it is made of."""
    end: float | None = None
    """Seconds into the sample at which to stop (default: all of it)."""


def main(arguments: Sequence[str]) -> None:
    """Recast the sample, as `understudy recast` would."""
    options = parse(_Arguments, "understudy demo", arguments)
    sample = files("understudy.synthetic.films")
    with as_file(sample / "sample_shot.mp4") as shot, as_file(sample / "sample_character.png") as character:
        words = [str(shot), "--character", str(character), "--out", str(options.out)]
        recast.main(words if options.end is None else [*words, "--end", str(options.end)])
