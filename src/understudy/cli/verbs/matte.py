"""`understudy matte SHOT -o FOLDER`."""

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.cli.arguments import parse
from understudy.cli.decomposing import ShotOptions, decompose_shot

__all__ = ["main"]


@dataclass(frozen=True)
class Arguments(ShotOptions):
    """Make the matte of a shot's actor, soft at the edges: actors/N/mask.mkv, lossless grey; the plate is made with it.

    The other people have mattes in people/.
    """


def main(arguments: Sequence[str]) -> None:
    """Parse the arguments, make the matte, and say where it is."""
    decompose_shot("matte", parse, arguments, Arguments, "mask", ("actors/*/mask.mkv", "plate/clean_plate.mp4"))
