"""A film on disk: a folder of files that a person can open and edit, and one manifest that knows how they were made.

The rules:
- A stage runs again only if its settings or the hashes of the files that it reads have changed; that a file exists
  says nothing.
- A stage writes into a folder of its own; when it has finished, its files are renamed into place one by one. A process
  that is killed leaves no half-written file under a final name, and finished stages stay finished.
- A file that differs from what we last wrote there, or that we never wrote, is the user's. It is never overwritten: the
  stages after it use it. Deleting it brings ours back.
- A folder may come from anybody: the manifest is checked where it is read, its names stay within the folder, and
  nothing is written through a link.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from filelock import FileLock, Timeout
from pydantic import ConfigDict, Field, JsonValue

from understudy import __version__
from understudy.io.files import check_file, is_link, read_bytes
from understudy.io.records import NameWithin, Record, parse_record
from understudy.io.temporary import whole_file
from understudy.runtime.budget import Budget
from understudy.runtime.errors import InputError, quoted
from understudy.runtime.memory import give_memory_back
from understudy.studio.outputs import clear_scratch, own_folder

__all__ = ["FORMAT", "MANIFEST", "ManifestRecord", "Project", "StageRecord", "file_hash", "files_hash"]

Kind = Literal["film", "character"]
"""What is made in a folder."""
MANIFEST = "manifest.json"
FORMAT = 2
"""Of manifests. 1: stages had no typed reports, and had read other things."""
_LOCK = ".lock"
MAX_MANIFEST_BYTES = 64 << 20
MAX_MANIFEST_VALUES = 500_000
_LITTER = ("Thumbs.db", "desktop.ini")


def files_below(path: Path) -> list[Path]:
    """A file itself, or all files in a folder but those that file managers leave there."""
    if not path.is_dir():
        return [path]
    files = (file for file in sorted(path.rglob("*")) if file.is_file())
    return [file for file in files if not (file.name.startswith(".") or file.name in _LITTER)]


def file_hash(path: Path) -> str:
    """SHA-256 of a file, or of all files in a folder with their names."""
    if path.is_dir():
        parts = [f"{file.relative_to(path).as_posix()} {file_hash(file)}" for file in files_below(path)]
        return hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def files_hash(files: Sequence[Path]) -> str:
    """SHA-256 of several files with their names, in their order."""
    parts = [f"{os.fsencode(file.name)!r} {file_hash(file)}" for file in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _lock(folder: Path) -> FileLock:
    """Hold the folder for this process; the system lets go when the process ends, however it ends."""
    path = folder / _LOCK
    if path.exists():
        check_file(path, "lock of a film's folder", MAX_MANIFEST_BYTES)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(f"another understudy works in {folder} now; wait for it, or give another folder") from error
    return lock


_Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _StageEntry(Record):
    """A `StageRecord`, as it stands in a manifest."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    fingerprint: Annotated[str, Field(pattern="^([0-9a-f]{64})?$")]
    """Of its settings and of what it read; empty while its files are being replaced."""
    inputs: dict[str, _Hash]
    """Each file that it read, with its SHA-256."""
    outputs: dict[NameWithin, _Hash]
    """Each file that it wrote, relative to the film's folder, with its SHA-256."""
    seconds: Annotated[float, Field(ge=0)]
    """How long it took, on the clock."""
    report: dict[str, JsonValue]
    """What it has to say about its own quality."""
    edited: list[NameWithin]
    """Those of its files that the user had changed when it was last looked at."""
    adopted: list[NameWithin]
    """Files that were made anew from those."""


class ManifestRecord(Record):
    """What a manifest holds."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    understudy: str = ""
    """The version of the program that wrote it."""
    format: Annotated[int, Field(ge=1, le=FORMAT)] = 1
    """The version of the manifest."""
    film: dict[str, JsonValue]
    """The kind ("film"; "character" of one by itself), the shot, the character, all settings, where and when made."""
    stages: dict[str, _StageEntry]
    """Each stage by its name; those of a cut begin with its folder."""
    written: dict[NameWithin, _Hash]
    """Every file that was ever written, with the SHA-256 that it had then."""
    arriving: dict[NameWithin, _Hash]
    """Files that were being replaced when the manifest was last written."""


@dataclass
class StageRecord:
    """What the manifest knows of one finished stage."""

    fingerprint: str
    """Of its settings and of what it read; empty while its files are being replaced."""
    inputs: dict[str, str]
    """Each file that it read, by its name, with its hash."""
    outputs: dict[str, str]
    """Each file that it wrote, relative to the film's folder, with its hash."""
    seconds: float
    report: dict[str, Any] = field(default_factory=dict)
    """What the stage has to say about its own quality: plain numbers, texts and lists."""
    edited: list[str] = field(default_factory=list)
    """Files that the user had changed when the stage was last looked at."""
    adopted: list[str] = field(default_factory=list)
    """Files that were made anew from those."""


class Project:
    """The film's folder, its manifest, and the one way to run a stage in it.

    Raises:
        InputError: another process works on the folder, it cannot be written to, or it holds files that are not a
            film's.
        FileFormatError: the manifest cannot be read, or is no film's.
        OSError: the disk is full.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = lambda text: None, kind: Kind = "film") -> None:
        self.folder = folder
        self.kind: Kind = kind
        self.say = say
        self.header: dict[str, Any] = {}
        self.stages: dict[str, StageRecord] = {}
        self.written: dict[str, str] = {}
        """Every file that we ever wrote, with the hash that it had."""
        self.arriving: dict[str, str] = {}
        """Those that are being replaced, with the hash that they will have: on disk lies one or the other."""
        self.edits: list[str] = []
        self.executed: list[str] = []
        self.visited: list[str] = []
        """The stages that belong to the film as it is, run or found current."""
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; give the name of a folder for the {kind}")
        manifest = folder / MANIFEST
        if folder.is_dir() and not manifest.exists():
            strangers = [entry.name for entry in folder.iterdir() if not entry.name.startswith(".")]
            if strangers:
                raise InputError(
                    f"{quoted(folder)} holds {quoted(strangers[0])} but no {kind}; give an empty folder, so that"
                    " nothing is lost"
                )
        self._is_new = not folder.exists()
        self._lock = _lock(own_folder(folder))
        try:
            if manifest.exists():
                self._read(manifest)
            clear_scratch(folder)
        except BaseException:
            self.close()
            raise

    def _read(self, manifest: Path) -> None:
        if is_link(manifest):
            raise InputError(f"{quoted(manifest)} is a link; put the film's own manifest there")
        text = read_bytes(manifest, "film's manifest", MAX_MANIFEST_BYTES)
        # Each is a value or two, and takes a hundred times as much memory as in the file.
        Budget(quoted(manifest), 0, advice="restore it").check_count(
            "values", sum(text.count(sign) for sign in (b",", b"[", b"{")), MAX_MANIFEST_VALUES
        )
        content = parse_record(text, manifest, ManifestRecord, "film's manifest")
        kind = content.film.get("kind", "film")
        if kind != self.kind:
            raise InputError(
                f"{quoted(self.folder)} holds a {quoted(kind)[1:-1]}; give another folder for the {self.kind}"
            )
        if content.format < FORMAT and content.stages:
            self.say(f"this {self.kind} was made by an earlier version of understudy and is made anew; your edits stay")
        self.header = dict(content.film)
        self.stages = {name: StageRecord(**dict(entry)) for name, entry in content.stages.items()}
        self.written, self.arriving = dict(content.written), dict(content.arriving)

    def save(self) -> None:
        """Write the manifest."""
        content = {
            "understudy": __version__,
            "format": FORMAT,
            "film": {"kind": self.kind} | self.header,
            "stages": {name: vars(record) for name, record in self.stages.items()},
            "written": self.written,
            "arriving": self.arriving,
        }
        text = json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n"
        with whole_file(self.folder / MANIFEST) as path:
            path.write_bytes(text.encode(errors="replace"))  # names of files on Linux may be no text

    def close(self) -> None:
        """Let another process work in the folder; of a folder in which nothing was made nothing is left."""
        if [entry.name for entry in self.folder.iterdir()] == [_LOCK]:
            if sys.platform == "win32":
                self._lock.release()  # there, an open file cannot be removed
            (self.folder / _LOCK).unlink(missing_ok=True)
            if self._is_new:
                self.folder.rmdir()
        self._lock.release()

    def path(self, relative: str) -> Path:
        """Where a file of the film lies."""
        return self.folder / relative

    def find_edits(self) -> list[str]:
        """Compare every file with what we wrote; remember and return those that the user has changed.

        Raises:
            InputError: there is a folder where a file belongs, or a file where a folder does.
        """
        names = list(self.written | self.arriving)
        for name in names:
            self._check_place(name)
        self.edits = [
            name
            for name in names
            if self.path(name).is_file()
            and file_hash(self.path(name)) not in (self.written.get(name), self.arriving.get(name))
        ]
        return self.edits

    def _check_place(self, name: str) -> None:
        """Raise InputError where a file of the film cannot be."""
        path = self.path(name)
        if path.is_dir() and not is_link(path):
            raise InputError(f"{quoted(path)} is a folder where a file of the film belongs; move it elsewhere")
        for parent in path.parents:
            if parent == self.folder:
                return
            if is_link(parent) or (parent.exists() and not parent.is_dir()):
                raise InputError(f"{quoted(parent)} is no folder, where one of the film belongs; move it elsewhere")

    def forget_other_stages(self) -> None:
        """Drop the records of stages that are no part of the film any more, such as those of cuts that were joined."""
        self.stages = {name: self.stages[name] for name in self.visited}

    def run(
        self,
        name: str,
        reads: Mapping[str, Path],
        settings: Mapping[str, Any],
        outputs: Iterable[str],
        work: Callable[[Path], dict[str, Any] | None],
        adopt: Callable[[Path, list[str]], None] | None = None,
        optional: Sequence[str] = (),
    ) -> StageRecord:
        """Bring a stage up to date.

        Args:
            name: the stage's name in the manifest.
            reads: every file that it reads, by a name that stays the same when the folder moves.
            settings: everything else that its result depends on, as plain values.
            outputs: the files or folders it makes, relative to the film's folder.
            work: makes them below the folder that it is given, and returns its report.
            adopt: called with a folder and those of the stage's files that the user has changed; makes anew, below the
                folder, the files that must follow them.
            optional: those of the outputs that there may be no need to make.
        """
        outputs = list(outputs)
        inputs = {key: file_hash(path) for key, path in sorted(reads.items())}
        description = json.dumps([name, __version__, inputs, dict(settings), outputs], sort_keys=True, default=str)
        fingerprint = hashlib.sha256(description.encode()).hexdigest()
        record = self.stages.get(name)
        if record is None or not self._is_current(record, fingerprint):
            record = self._execute(name, fingerprint, inputs, outputs, work, optional)
        edits = [file for file in record.outputs if file in self.edits]
        if edits and adopt is not None:
            with self._scratch(name) as scratch:
                adopt(scratch, edits)
                followed = self._hand_over(scratch, ["."])
            record.outputs |= followed
            record.adopted = list(followed)
        if record.edited != edits or record.adopted:
            record.edited = edits
            self.save()
        self.visited.append(name)
        return record

    def _is_current(self, record: StageRecord, fingerprint: str) -> bool:
        """Whether a stage's files are what it would make now, but for the user's edits and what follows them."""
        taken_back = [file for file in record.edited if file not in self.edits]
        return (
            record.fingerprint == fingerprint
            and all(self.path(file).is_file() for file in record.outputs)
            and not (record.adopted and taken_back)
        )

    def _execute(
        self,
        name: str,
        fingerprint: str,
        inputs: dict[str, str],
        outputs: list[str],
        work: Callable[[Path], dict[str, Any] | None],
        optional: Sequence[str],
    ) -> StageRecord:
        started = time.perf_counter()
        with self._scratch(name) as scratch:
            report = work(scratch) or {}
            seconds = time.perf_counter() - started
            missing = [name for name in outputs if name not in optional and not (scratch / name).exists()]
            if missing:
                raise RuntimeError(f"stage {name} did not write {', '.join(missing)}")
            outputs = [name for name in outputs if (scratch / name).exists()]
            before = self.stages.get(name)
            if before is not None:
                before.fingerprint = ""  # killed between two renames, the stage must run again
            written = self._hand_over(scratch, outputs)
        if before is not None:
            self._remove_what_is_no_longer_made([file for file in before.outputs if file not in written], outputs)
        record = StageRecord(fingerprint, inputs, written, round(seconds, 3), report)
        self.stages[name] = record
        self.executed.append(name)
        self.save()
        give_memory_back()
        return record

    def _hand_over(self, scratch: Path, outputs: list[str]) -> dict[str, str]:
        """Move what was made into place, file by file, and return it with its hashes; what is the user's stays."""
        files = dict.fromkeys(file for output in outputs for file in files_below(scratch / output))
        made = [file.relative_to(scratch).as_posix() for file in files]
        hashes = {name: file_hash(scratch / name) for name in made}
        known = self.written.keys() | self.arriving.keys()
        for name in made:
            self._check_place(name)
        # Said before the first rename: whatever moment a kill comes at, our new files do not pass for the user's.
        self.arriving |= hashes
        self.save()
        for name in made:
            final = self.path(name)
            if final.is_file() and name not in known:
                self.edits.append(name)
            if final.is_file() and name in self.edits:
                self.say(f"{name} is your edit and stays; delete it to have it made again")
                continue
            final.parent.mkdir(parents=True, exist_ok=True)
            os.replace(scratch / name, final)
        self.written |= hashes
        for name in made:
            del self.arriving[name]
        return hashes

    def _remove_what_is_no_longer_made(self, files: list[str], outputs: list[str]) -> None:
        """Such as the mask of a fourth person, when only three are found now."""
        for name in files:
            within = any(name.startswith(f"{output}/") for output in outputs)
            if within and name not in self.edits:
                path = self.path(name)
                path.unlink(missing_ok=True)
                with suppress(OSError):  # A folder with other files stays.
                    path.parent.rmdir()

    @contextmanager
    def _scratch(self, name: str) -> Iterator[Path]:
        place = clear_scratch(self.folder)
        scratch = place / name.replace("/", "_")
        scratch.mkdir(parents=True)
        try:
            yield scratch
        finally:
            shutil.rmtree(place, ignore_errors=True)
