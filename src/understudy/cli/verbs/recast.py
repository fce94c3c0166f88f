"""`understudy recast SHOT --character PICTURE_OR_RIG -o FOLDER`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from understudy.cli.arguments import parse
from understudy.cli.console import ConsoleNarrator
from understudy.runtime.errors import InputError, printable
from understudy.studio.options import MODEL_KINDS, PICTURE_KINDS, RecastOptions

if TYPE_CHECKING:
    from understudy.studio.pipeline.config import RecastConfig

__all__ = ["main"]

CHARACTER = (
    f"One picture ({PICTURE_KINDS}), a model with a rig or without ({MODEL_KINDS}), or the folder of `understudy cast`."
)
_ALL = "--help-all"


@dataclass(frozen=True)
class _Given:
    shot: tyro.conf.Positional[Path]
    """The film shot: any video that FFmpeg reads; or an image sequence (PNG, JPEG, TIFF, DPX, OpenEXR): its folder, a
    pattern such as shot.####.exr, or its first picture."""
    character: Annotated[Path, tyro.conf.arg(help=CHARACTER)]
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder for the film and everything it is made of."""
    config: Path | None = None
    """A TOML file with options, of the stages too; what is given here counts more."""
    until: str | None = None
    """The last stage that is run, such as plate (`understudy stages` lists them); default: all are run."""


@dataclass(frozen=True)
class _Arguments(_Given):
    """Re-shoot a film shot with your character in the actor's place.

    Run the same command again after editing a file in the folder: only what depends on it is made anew. Every stage has
    options of its own, such as --plate.blend.feather-px 6: --help-all lists them.
    """

    recast: tyro.conf.OmitArgPrefixes[RecastOptions] = field(default_factory=RecastOptions)


def main(arguments: Sequence[str]) -> None:
    """Parse the arguments, recast, and say where the result is."""
    options, config = _parsed(arguments)
    from understudy.studio.recast import recast_with  # heavy: only once the arguments are known to be right

    film = recast_with(options.shot, options.character, options.out, config, ConsoleNarrator(), options.until)
    if film.report.exists():
        print(f"\nfilm    {printable(film.film)}\nreport  {printable(film.report)}")
    else:
        print(f"\nfolder  {printable(film.folder)}")


def _parsed(arguments: Sequence[str]) -> tuple[_Given, "RecastConfig"]:
    """What was given, and all options. Those of the stages are imported only where they are asked for."""
    if not any(_is_of_a_stage(argument) for argument in arguments):
        usual = parse(_Arguments, "understudy recast", arguments)
        from understudy.studio.pipeline.config import RecastConfig

        return usual, RecastConfig(**vars(usual.recast))
    from understudy.studio.pipeline.config import RecastConfig
    from understudy.studio.pipeline.config_file import read_config

    asked = ["--help" if argument == _ALL else argument for argument in arguments]
    known = read_config(path) if (path := _config_file(asked)) else RecastConfig()

    @dataclass(frozen=True)
    class Arguments(_Given):
        """Re-shoot a film shot with your character in the actor's place: all options, those of the stages too.

        Options with a dot belong to a stage. In a file for --config they stand in a table of the stage's name.
        """

        recast: Annotated[RecastConfig, tyro.conf.arg(name="")] = field(default_factory=lambda: known)

    given = parse(Arguments, "understudy recast", asked)
    return given, given.recast


def _is_of_a_stage(argument: str) -> bool:
    return (
        argument == _ALL
        or argument.startswith("--config")
        or (argument.startswith("--") and "." in argument.partition("=")[0])
    )


def _config_file(arguments: Sequence[str]) -> Path | None:
    """The file for --config, before anything else is known."""
    for argument, following in zip(arguments, [*arguments[1:], None], strict=True):
        if argument == "--config":
            if following is None:
                raise InputError("--config is given without a file; name a TOML file with options")
            return Path(following)
        if argument.startswith("--config="):
            return Path(argument.partition("=")[2])
    return None
