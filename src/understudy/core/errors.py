"""What can go wrong, as a tree.

UnderstudyError                 everything that we raise on purpose; its text is one sentence for the user
├── InputError                  what the user gave cannot be used: exit code 2
│   ├── FootageError            a shot: missing, truncated, not a video, too large
│   │   └── NobodyInShot        a shot in which no person was found
│   ├── PictureError            a still picture: missing, corrupt, too small, too large
│   ├── CharacterError          a picture without a figure, or a rig: corrupt, without skin
│   └── FileFormatError         any other file: a camera, a motion, a manifest
└── BackendUnavailable          a backend's package or weights are absent: says what to install; exit code 3
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
]


class UnderstudyError(Exception):
    """One clear sentence: what was got, what was expected, what to do."""

    exit_code = 1


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
