"""`understudy recast SHOT --character PICTURE_OR_RIG -o FOLDER`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from understudy.cli.arguments import parse
from understudy.cli.console import ConsoleNarrator
from understudy.runtime.errors import printable
from understudy.studio.pipeline.config import RecastConfig

__all__ = ["main"]


@dataclass(frozen=True)
class _Arguments:
    """Re-shoot a film shot with your character in the actor's place.

    Run the same command again after editing a file in the folder: only what depends on it is made anew.
    """

    shot: tyro.conf.Positional[Path]
    """The film shot: any video that FFmpeg reads; or an image sequence (PNG, JPEG, TIFF, DPX, OpenEXR): its folder, a
    pattern such as shot.####.exr, or its first picture."""
    character: Path
    """One picture (PNG, JPEG, WebP) or a rigged model (GLB, glTF, VRM)."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder for the film and everything it is made of."""
    config: tyro.conf.OmitArgPrefixes[RecastConfig] = field(default_factory=RecastConfig)


def main(arguments: Sequence[str]) -> None:
    """Parse the arguments, recast, and say where the result is."""
    options = parse(_Arguments, "understudy recast", arguments)
    from understudy.studio.recast import recast_with  # heavy: only once the arguments are known to be right

    film = recast_with(options.shot, options.character, options.out, options.config, ConsoleNarrator())
    print(f"\nfilm    {printable(film.film)}\nreport  {printable(film.report)}")
