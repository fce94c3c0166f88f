"""`understudy plate SHOT -o FOLDER`."""

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.cli.arguments import parse
from understudy.cli.decomposing import ShotOptions, decompose_shot

__all__ = ["main"]


@dataclass(frozen=True)
class Arguments(ShotOptions):
    """Make the clean plate of a shot: the set without the actor, from the shot's other frames and what is around.

    plate/clean_plate.mp4 is the plate; plate/removed.mkv says where it is not the shot's own pixel.
    """


def main(arguments: Sequence[str]) -> None:
    """Parse the arguments, make the plate, and say where it is."""
    decompose_shot("plate", parse, arguments, Arguments, "plate", ("plate/clean_plate.mp4", "plate/removed.mkv"))
