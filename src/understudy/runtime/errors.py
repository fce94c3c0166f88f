"""What can go wrong, as a tree.

UnderstudyError                 everything that we raise on purpose; its text is one sentence for the user
├── InputError                  what the user gave cannot be used: exit code 2
│   ├── FootageError            a shot: missing, truncated, not a video, too large
│   │   └── NobodyInShot        a shot in which no person was found
│   ├── PictureError            a still picture: missing, corrupt, too small, too large
│   ├── CharacterError          a picture without a figure, or a rig: corrupt, without skin
│   └── FileFormatError         any other file: a camera, a motion, a manifest
└── BackendUnavailable          a backend's package or weights are absent: says what to install; exit code 3

What a file or a user gave may hold anything: no message passes it on unescaped, or at any length.
"""

__all__ = [
    "BackendUnavailable",
    "CharacterError",
    "FileFormatError",
    "FootageError",
    "InputError",
    "NobodyInShot",
    "PictureError",
    "UnderstudyError",
    "printable",
    "quoted",
]

MAX_GIVEN_CHARACTERS = 300
MAX_CHARACTERS = 900


def printable(text: object, max_characters: int = MAX_CHARACTERS) -> str:
    """Text as one line that any terminal shows as it is: unprintables escaped, the middle of long text left out.

    Escaped are controls, formats (such as those that turn the writing direction), halves of surrogate pairs, private
    and unassigned characters, and every space but the usual one (`str.isprintable`).
    """
    text = str(text)
    if len(text) > 2 * max_characters:
        text = text[:max_characters] + text[-max_characters:]
    text = "".join(c.encode("unicode_escape").decode() if not c.isprintable() else c for c in text)
    if len(text) <= max_characters:
        return text
    head = max_characters * 2 // 3
    return f"{text[:head]}…{text[len(text) - (max_characters - 1 - head) :]}"


def quoted(given: object) -> str:
    """What a user or a file gave, as it stands in a message: at most 300 characters, all of them printable."""
    return f"'{printable(given, MAX_GIVEN_CHARACTERS)}'"


class UnderstudyError(Exception):
    """One clear sentence: what was got, what was expected, what to do; made printable, whatever was put into it."""

    exit_code = 1

    def __init__(self, sentence: object) -> None:
        super().__init__(printable(sentence))


class InputError(UnderstudyError):
    """Something that the user gave cannot be used."""

    exit_code = 2


class FootageError(InputError):
    """A shot cannot be used."""


class NobodyInShot(FootageError):
    """No person was found in a shot."""


class PictureError(InputError):
    """A still picture cannot be read."""


class CharacterError(InputError):
    """A character's picture shows no figure, or its rig cannot be used."""


class FileFormatError(InputError):
    """A camera, motion or other file is not what its name says."""


class BackendUnavailable(UnderstudyError):
    """A backend needs a package or weights that are not there."""

    exit_code = 3
