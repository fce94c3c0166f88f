"""Files that Blender reads and we do not, as GLB: FBX, .blend, USD, Collada.

Blender (GPL) is only ever run as a program: the user's own, found as `blender`, or named by UNDERSTUDY_BLENDER, which
may also be a Python that has the package `bpy`. It is started without the user's settings and add-ons, and without the
scripts that a .blend brings along.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from understudy.io.files import check_file
from understudy.io.temporary import temporary_folder
from understudy.runtime.errors import BackendUnavailable, CharacterError, quoted
from understudy.runtime.programs import last_line, run_program

__all__ = ["BLENDER_SUFFIXES", "blender_command", "converted_to_glb"]

BLENDER_SUFFIXES = (".fbx", ".blend", ".usd", ".usda", ".usdc", ".usdz", ".dae")
VARIABLE = "UNDERSTUDY_BLENDER"
SCRIPT = Path(__file__).with_name("to_glb.py")
MAX_SOURCE_BYTES, MAX_GLB_BYTES = 1 << 30, 1 << 30
MAX_S = 600.0
"""How long Blender may take; a figure of 100,000 vertices with 4K textures takes about 20 s on one core."""
SHOWN_CHARACTERS = 300
"""Of what Blender says went wrong, in our own sentence about it."""
OUR_PACKAGES = ("PYTHONPATH", "PYTHONHOME")
"""Variables that name the packages of the Python that runs us."""


def blender_command() -> list[str] | None:
    """What starts a Python script inside Blender, up to the script's name; None where there is no Blender.

    Raises:
        BackendUnavailable: UNDERSTUDY_BLENDER names no program.
    """
    named = os.environ.get(VARIABLE)
    program = shutil.which(named) if named else shutil.which("blender")
    if named and program is None:
        raise BackendUnavailable(f"{VARIABLE} is {quoted(named)}, which is no program: name Blender's own, or unset it")
    if program is not None and not Path(program).name.lower().startswith("python"):
        return [
            program, "--background", "--factory-startup", "--disable-autoexec", "-noaudio", "--python-exit-code", "3",
            "--python",
        ]  # fmt: skip
    if program is not None:
        return [program, "-P"]
    return [sys.executable, "-P"] if importlib.util.find_spec("bpy") is not None else None


@contextmanager
def converted_to_glb(path: Path) -> Generator[Path, None, None]:
    """A file of BLENDER_SUFFIXES as a GLB of the same name, until the block ends.

    Raises:
        BackendUnavailable: there is no Blender, or it cannot be started.
        CharacterError: the file is absent or too large, or Blender cannot read it, in time or at all.
    """
    check_file(path, "character", MAX_SOURCE_BYTES, CharacterError)
    command = blender_command()
    if command is None:
        raise BackendUnavailable(
            f"{path.name} is read by Blender, which is not here: install it from blender.org, so that the command"
            f" `blender` is found or {VARIABLE} names it; or export the character as GLB or VRM"
        )
    with temporary_folder("blender") as folder:
        target = folder / f"{path.stem}.glb"
        words = [*command, str(SCRIPT), "--", str(path.resolve()), str(target), str(MAX_GLB_BYTES), str(int(MAX_S))]
        # Blender has a Python of its own.
        environment = {name: value for name, value in os.environ.items() if name not in OUR_PACKAGES}
        log = folder / "log"
        ended = run_program(words, log, environment, MAX_S)
        if ended is None:
            raise CharacterError(
                f"{path.name}: Blender did not come to an end within {MAX_S:.0f} s: export the character alone, as GLB"
            )
        reason = target.with_suffix(".txt")
        if ended != 0 or not target.is_file():
            text = reason.read_text(encoding="utf-8") if reason.is_file() else last_line(log)
            what = quoted(text.strip()[:SHOWN_CHARACTERS])[1:-1] or f"it ended with {ended}"
            raise CharacterError(f"{path.name} cannot be read by Blender ({what}): export it as GLB, or again as FBX")
        yield target
