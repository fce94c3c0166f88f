"""`understudy cast PICTURE_OR_RIG -o FOLDER`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from understudy.cli.arguments import parse
from understudy.cli.console import ConsoleNarrator
from understudy.runtime.errors import printable
from understudy.studio.options import MODEL_KINDS, PICTURE_KINDS

__all__ = ["main"]

CHARACTER = f"One picture of a whole figure ({PICTURE_KINDS}), or a model with a rig or without ({MODEL_KINDS})."


def main(arguments: Sequence[str]) -> None:
    """Parse the arguments, make the character, and say where it is."""
    from understudy.studio.character.cast import cast_with
    from understudy.studio.character.config import CastConfig

    @dataclass(frozen=True)
    class Arguments:
        """Make a character of one picture or a mesh, or check a rig; see it from all sides, in poses and walking.

        Run the same command again after editing a file in the folder: only what depends on it is made anew.
        """

        character: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(help=CHARACTER)]]
        out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
        """Folder for the character and everything that shows it."""
        config: Annotated[CastConfig, tyro.conf.arg(name="")] = field(default_factory=CastConfig)

    options = parse(Arguments, "understudy cast", arguments)
    made = cast_with(options.character, options.out, options.config, ConsoleNarrator())
    print(f"\ncharacter  {printable(made.character)}")
    print(f"turntable  {printable(made.turntable)}\nreport     {printable(made.report)}")
