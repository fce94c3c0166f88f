"""`understudy shoot --set PICTURES --camera MOVE --prompt WORDS -o CLIP`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from understudy.cli.arguments import parse
from understudy.cli.console import ConsoleNarrator
from understudy.cli.require_torch import needs_torch
from understudy.runtime.errors import printable

__all__ = ["main"]


def main(arguments: Sequence[str]) -> None:
    """Parse the arguments, shoot, and say where the result is."""
    needs_torch()
    from understudy.studio.scene.config import ShootConfig
    from understudy.studio.scene.shoot import shoot_clip

    @dataclass(frozen=True)
    class Arguments:
        """Film a new subject in a set: pictures of the set, a camera move and a few words become a clip."""

        set: Path
        """A folder of pictures from one place (the start view first by name), a panorama (HDR too), or one picture."""
        out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("clip.mp4")
        """The clip; its camera and a preview are written beside it."""
        camera: str = "static"
        """A move with its amount ("arc:+60", "pan:-45", "dolly:1"; degrees or metres), or a camera .json (a zoom in it
        is not filmed)."""
        prompt: str = ""
        """Who does what: "a man in a red coat dances in the middle, facing the camera"."""
        config: tyro.conf.OmitArgPrefixes[ShootConfig] = field(default_factory=ShootConfig)

    options = parse(Arguments, "understudy shoot", arguments)
    result = shoot_clip(options.set, options.camera, options.prompt, options.out, options.config, ConsoleNarrator())
    print(f"\nclip     {printable(result.clip)}")
    print(f"camera   {printable(result.camera)}\npreview  {printable(result.preview)}")
