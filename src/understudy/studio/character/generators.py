"""Generators of meshes that others make (TRELLIS.2, Hunyuan3D, TripoSG, Unique3D …), run by command.

Each has an environment of its own; what we know of it stands in a TOML file of the user's:

    [trellis2]
    command = ["/opt/trellis2/bin/python", "/opt/trellis2/one.py", "{picture}", "{mesh}"]
    mesh = "glb"
    time_limit_s = 900
    environment = { CUDA_VISIBLE_DEVICES = "0" }
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from understudy.io.files import read_bytes
from understudy.io.records import Record
from understudy.runtime.errors import BackendUnavailable, FileFormatError, InputError, quoted
from understudy.runtime.programs import last_line, run_program
from understudy.runtime.progress import Progress

__all__ = ["Generator", "generator_named", "run_generator", "usual_file"]

MAX_BYTES = 1 << 20
"""Of the file of generators."""
LOG = "log.txt"
OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "OMP_NUM_THREADS", "QT_QPA_PLATFORM")
"""Of our environment; a program that has one of its own would be led astray."""
_Text = Annotated[str, Field(min_length=1, max_length=4096)]


class Generator(Record):
    """A program that makes a mesh of a picture."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    command: Annotated[list[_Text], Field(min_length=1, max_length=200)]
    """The program and its arguments, one by one, run without a shell. {picture} stands for a PNG of the figure alone,
    on a transparent background; {mesh} for the file that is to be written."""
    mesh: Literal["glb", "obj", "ply"] = "glb"
    """The kind of file that it writes."""
    time_limit_s: Annotated[float, Field(gt=0, le=86_400)] = 1800.0
    """After so many seconds it is ended."""
    environment: Annotated[dict[_Text, str], Field(default_factory=dict, max_length=200)]
    """Variables that are set for it, besides our own environment."""


def usual_file() -> Path:
    """Where the user's generators stand if no other file is named."""
    return Path(platformdirs.user_config_dir("understudy", appauthor=False)) / "generators.toml"


def generator_named(name: str, file: Path | None) -> Generator:
    """A generator of a TOML file, the user's own where none is named.

    Raises:
        InputError: there is no such file, or it has no such generator.
        FileFormatError: it is no such file; its text names the key.
    """
    path = file or usual_file()
    if not path.is_file():
        raise InputError(
            f"there is no file {quoted(path)} that says what generator {quoted(name)} is; write one, or name it with"
            " --generators (docs/generators.md)"
        )
    try:
        content = tomllib.loads(read_bytes(path, "file of generators", MAX_BYTES).decode())
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"{quoted(path)} is no TOML that can be read ({error}); correct it") from error
    if name not in content:
        raise InputError(f"{quoted(path)} has no generator {quoted(name)}; it has {quoted(', '.join(content))[1:-1]}")
    try:
        generator = TypeAdapter(Generator).validate_python(content[name], strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in ("", *first["loc"]))
        raise FileFormatError(f"{quoted(path)}: {quoted(name + key)}: {first['msg']}; correct it") from error
    for wanted in ("{picture}", "{mesh}"):
        if not any(wanted in word for word in generator.command):
            raise FileFormatError(f"{quoted(path)}: the command of {quoted(name)} has no {wanted}; say where it goes")
    return generator


def run_generator(generator: Generator, name: str, picture: Path, mesh: Path, progress: Progress) -> None:
    """Make a mesh of a picture; what the program prints is kept beside the mesh as log.txt.

    It works in the mesh's folder, and gets no input. All that it has started is ended with it.

    Raises:
        BackendUnavailable: there is no such program.
        InputError: it failed, took too long, or wrote no mesh.
    """
    places = {"{picture}": str(picture.absolute()), "{mesh}": str(mesh.absolute())}
    command = [_filled(word, places) for word in generator.command]
    environment = {key: value for key, value in os.environ.items() if key not in OURS} | generator.environment
    log = mesh.parent / LOG
    try:
        code = run_program(command, log, environment, generator.time_limit_s, progress)
    except BackendUnavailable as error:
        raise BackendUnavailable(
            f"generator {quoted(name)}: {error}; see its command in {quoted(usual_file())} or in the file of"
            " --generators"
        ) from error
    if code is None:
        raise InputError(
            f"generator {quoted(name)} took longer than {generator.time_limit_s:g} s and was ended; give it more"
            " time (time_limit_s)"
        )
    said = quoted(last_line(log)) if last_line(log) else "it said nothing"
    if code != 0:
        raise InputError(f"generator {quoted(name)} ended with code {code}: {said}")
    if not mesh.is_file():
        raise InputError(f"generator {quoted(name)} wrote no {quoted(mesh.name)}: {said}")


def _filled(word: str, places: dict[str, str]) -> str:
    """An argument such as --image={picture}."""
    for name, place in places.items():
        word = word.replace(name, place)
    return word
