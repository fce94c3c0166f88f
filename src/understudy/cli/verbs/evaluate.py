"""`understudy evaluate transfer | FILM --truth TRUTH`: how far results are from the truth."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from understudy.cli.arguments import parse
from understudy.cli.console import ConsoleNarrator

__all__ = ["main"]

USAGE = """usage: understudy evaluate transfer [options]
       understudy evaluate FILM --truth TRUTH

  transfer  film shots with known truth, recast them, and print DreamCinema's 3D tables
  FILM      the folder of a film of `understudy recast`, scored against a folder with the truth

Each explains itself: understudy evaluate transfer --help"""


@dataclass(frozen=True)
class _Film:
    """Score the folder of a film against the truth."""

    film: tyro.conf.Positional[Path]
    """What `understudy recast` wrote."""
    truth: Path
    """A folder with joints.npz, camera.json and masks.mkv, as `understudy evaluate transfer` leaves them."""


def main(arguments: Sequence[str]) -> None:
    """Run one of the parts."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        sys.exit(0)
    if arguments[0] == "transfer":
        _transfer(list(arguments[1:]))
    else:
        _film(list(arguments))


def _transfer(arguments: list[str]) -> None:
    from understudy.evaluation.transfer import evaluate_transfer
    from understudy.evaluation.transfer_shots import TransferConfig

    @dataclass(frozen=True)
    class Arguments:
        """Film shots with known truth, recast them, and print DreamCinema's 3D tables.

        The same command goes on where it was cut off. Several values may be joined by commas: --moves arc,pan.
        """

        out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("transfer")
        """Folder for the shots, the page and the figures."""
        config: tyro.conf.OmitArgPrefixes[TransferConfig] = field(default_factory=TransferConfig)

    options = parse(Arguments, "understudy evaluate transfer", _split(arguments))
    print(evaluate_transfer(options.out, options.config, ConsoleNarrator()))


def _film(arguments: list[str]) -> None:
    options = parse(_Film, "understudy evaluate", arguments)
    from understudy.evaluation.transfer import evaluate_film

    print(json.dumps(evaluate_film(options.film, options.truth), indent=1))


def _split(arguments: list[str]) -> list[str]:
    parts: list[str] = []
    for argument in arguments:
        parts += argument.split(",") if "," in argument and not argument.startswith("-") else [argument]
    return parts
