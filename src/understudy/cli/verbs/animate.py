"""`understudy animate CHARACTER --motion MOTION -o FILM`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from understudy.cli.arguments import parse
from understudy.cli.console import ConsoleNarrator
from understudy.runtime.errors import printable
from understudy.studio.options import MODEL_KINDS

__all__ = ["main"]

CHARACTER = f"The folder of a cast character or of a film, or a model with a rig or without ({MODEL_KINDS})."


def main(arguments: Sequence[str]) -> None:
    """Parse the arguments, film the character, and say where the film is."""
    from understudy.studio.character.animate import animate_with
    from understudy.studio.character.config import AnimateConfig

    @dataclass(frozen=True)
    class Arguments:
        """Film a character that does a motion: a preview on grey ground, in neutral light."""

        character: tyro.conf.Positional[Annotated[Path, tyro.conf.arg(help=CHARACTER)]]
        out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("animated.mp4")
        """The film; with the ending .glb, the animated character and its camera for other programs."""
        motion: Path | None = None
        """A BVH, a glTF file with an animation (GLB, glTF, VRM, VRMA), a motion.npz, or the folder of a film, whose
        main actor is followed (default: a walk)."""
        config: tyro.conf.OmitArgPrefixes[AnimateConfig] = field(default_factory=AnimateConfig)

    options = parse(Arguments, "understudy animate", arguments)
    made = animate_with(options.character, options.out, options.motion, options.config, ConsoleNarrator())
    print(f"\nfilm  {printable(made)}")
