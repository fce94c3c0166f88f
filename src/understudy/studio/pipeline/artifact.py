"""What stages leave for each other in the film's folder, as values: where it lies, what it is, how it is read."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Generic, Literal, TypeVar

from understudy.core.footage import Shot

__all__ = ["Artifact", "Level", "OtherFormat", "Role", "Scope"]

Noun = TypeVar("Noun")
Level = Literal["film", "character", "cut", "actor"]
"""What there is one of each of: the whole film, a character, a cut, an actor in a cut (and who replaces them)."""

_KEYS = {
    "cut": r"(?:cut_[0-9]+/)?", "actor": "[0-9]+", "person": "[0-9]+", "character": "character(?:_[0-9]+)?",
    "performance": "performance(?:_[0-9]+)?", "camera": "[a-z]+", "film": r"film(?:\.mp4|\.mov)?",
}  # fmt: skip
"""What may stand in the name of an artifact's file, and how it looks there."""


@dataclass(frozen=True)
class Role:
    """Who is replaced by whom."""

    actor: int
    """The number of a person in the shot; 1 is the main actor."""
    character: int = 1


@dataclass(frozen=True)
class Scope:
    """Whose files are meant."""

    cut: str = ""
    """Where the cut's files lie in the film's folder: "" or "cut_02/"."""
    role: Role | None = None
    person: int | None = None
    """None: the role's actor."""
    camera: str | None = None
    """ "source" or "fitted"."""
    film: str = "film.mp4"
    """The name of the finished film."""

    def named(self, name: str) -> str:
        """The name of a file, relative to the film's folder.

        Raises:
            ValueError: it says whose something is, and that is not known here.
        """
        actor, character = (self.role.actor, self.role.character) if self.role else (None, None)
        number = "" if character in (None, 1) else f"_{character}"
        values = {
            "cut": self.cut, "actor": actor, "person": self.person or actor, "camera": self.camera, "film": self.film,
            "character": character and f"character{number}", "performance": character and f"performance{number}",
        }  # fmt: skip
        missing = [key for key in _keys(name) if values[key] is None]
        if missing:
            raise ValueError(f"{name} is not of one {missing[0]}")
        return name.format(**values)


def _keys(name: str) -> list[str]:
    return [key for _, key, _, _ in Formatter().parse(name) if key]


@dataclass(frozen=True)
class OtherFormat(Generic[Noun]):
    """A second file with the same in it, for other programs; an edit of either is carried into the other."""

    name: str
    read: Callable[[Path, Noun], Noun]
    """Given the file, and the noun as it was before."""
    write: Callable[[Path, Noun], None]


@dataclass(frozen=True, eq=False)
class Artifact(Generic[Noun]):
    """A file, or a folder of files, that one stage makes."""

    name: str
    """Relative to the film's folder, with {cut}, {actor}, {person}, {character}, {performance}, {camera} or {film}
    where there is one of each."""
    what: str
    """What it is, for people."""
    read: Callable[[Path, Shot], Noun] | None = None
    """Reads it, for the shot that its cut is. Raises FileFormatError, also where it has not the shot's frames or size.
    None: it is for other programs, and never read."""
    write: Callable[[Path, Noun], None] | None = None
    """None: frames are streamed into the file, or the files are written one by one."""
    parts: tuple[str, ...] = ()
    """Of a folder: the names of the files in it that are read; none: all."""
    check: Callable[[Path, Shot], None] | None = None
    """Sees that an edited file is sound, where `read` does not."""
    other_format: OtherFormat[Noun] | None = None
    advice: str = ""
    """What to edit instead, if it is never read."""

    @property
    def level(self) -> Level:
        """What there is one of."""
        keys = set(_keys(self.name))
        if "cut" in keys:
            return "actor" if keys & {"actor", "performance"} else "cut"
        return "character" if "character" in keys else "film"

    @property
    def names(self) -> tuple[str, ...]:
        """Of its file and of the same in another format."""
        return (self.name, self.other_format.name) if self.other_format else (self.name,)

    def files(self, scope: Scope) -> list[str]:
        """What of it is read: files or a folder, relative to the film's folder."""
        name = scope.named(self.name)
        return [f"{name}/{part}" for part in self.parts] or [name]

    def is_part(self, file: str) -> bool:
        """Whether a file of the film's folder is (of) this."""
        return any(_pattern(name, self.parts, self.read is None).fullmatch(file) for name in self.names)

    def is_read(self, file: str) -> bool:
        """Whether a file of the film's folder is what `read` reads of this."""
        return self.read is not None and bool(_pattern(self.name, self.parts, False).fullmatch(file))


def _pattern(name: str, parts: tuple[str, ...], is_folder: bool) -> re.Pattern[str]:
    text = "".join(re.escape(before) + (_KEYS[key] if key else "") for before, key, _, _ in Formatter().parse(name))
    if parts:
        text += "/(?:" + "|".join(map(re.escape, parts)) + ")"
    return re.compile(text + ("(?:/.*)?" if is_folder else ""))
