"""A film on disk: a folder of files that a person can open and edit, and one manifest that knows how they were made.

The rules:
- A stage runs again only if its settings or the hashes of the files that it reads have changed; that a file exists
  says nothing.
- A stage writes into a folder of its own; when it has finished, its files are renamed into place one by one. A process
  that is killed leaves no half-written file under a final name, and finished stages stay finished.
- A file that differs from what its stage wrote is the user's edit. It is never overwritten: the stages after it use it.
  Deleting it brings ours back.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from understudy import __version__
from understudy.core.errors import FileFormatError, InputError

__all__ = ["MANIFEST", "Project", "StageRecord", "file_hash", "write_atomic"]

MANIFEST = "manifest.json"
_SCRATCH = ".unfinished"


def file_hash(path: Path) -> str:
    """SHA-256 of a file, or of all files in a folder with their names."""
    if path.is_dir():
        parts = [f"{file.relative_to(path)} {file_hash(file)}" for file in sorted(path.rglob("*")) if file.is_file()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_atomic(path: Path, text: str) -> None:
    """Write a text file under a temporary name, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def _lock(folder: Path) -> FileLock:
    """Hold the folder for this process; the system lets go when the process ends, however it ends."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(f"another understudy works in {folder} now; wait for it, or give another folder") from error
    return lock


@dataclass
class StageRecord:
    """What the manifest knows of one finished stage."""

    fingerprint: str
    outputs: dict[str, str]
    """Each file that the stage wrote, relative to the film's folder, with its hash."""
    seconds: float
    report: dict[str, Any] = field(default_factory=dict)
    """What the stage has to say about its own quality: plain numbers, texts and lists."""
    edited: list[str] = field(default_factory=list)
    """Files that the user has changed since."""


class Project:
    """The film's folder, its manifest, and the one way to run a stage in it.

    Raises:
        InputError: another process works on the folder, or it holds files that are not a film's.
        FileFormatError: the manifest cannot be read.
    """

    def __init__(self, folder: Path, say: Callable[[str], None] = lambda text: None) -> None:
        self.folder = folder
        self.say = say
        self.header: dict[str, Any] = {}
        self.stages: dict[str, StageRecord] = {}
        self.executed: list[str] = []
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; give the name of a folder for the film")
        manifest = folder / MANIFEST
        if folder.is_dir() and not manifest.exists():
            strangers = [entry.name for entry in folder.iterdir() if not entry.name.startswith(".")]
            if strangers:
                raise InputError(
                    f"{folder} holds {strangers[0]!r} but no film; give an empty folder, so that nothing is lost"
                )
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(folder)
        shutil.rmtree(folder / _SCRATCH, ignore_errors=True)
        if manifest.exists():
            self._read(manifest)

    def _read(self, manifest: Path) -> None:
        try:
            content = json.loads(manifest.read_text(encoding="utf-8"))
            self.header = content["film"]
            self.stages = {name: StageRecord(**record) for name, record in content["stages"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FileFormatError(
                f"{manifest} cannot be read as a film's manifest ({error}); restore it, or delete it to start over"
            ) from error

    def save(self) -> None:
        """Write the manifest."""
        stages = {name: vars(record) for name, record in self.stages.items()}
        content = {"understudy": __version__, "film": self.header, "stages": stages}
        write_atomic(self.folder / MANIFEST, json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n")

    def close(self) -> None:
        """Let another process work in the folder."""
        self._lock.release()

    def path(self, relative: str) -> Path:
        """Where a file of the film lies."""
        return self.folder / relative

    def find_edits(self) -> list[str]:
        """Compare each stage's files with what it wrote; remember and return those that the user changed."""
        edits = []
        for record in self.stages.values():
            record.edited = [
                name
                for name, written in record.outputs.items()
                if self.path(name).exists() and file_hash(self.path(name)) != written
            ]
            edits += record.edited
        return edits

    def run(
        self,
        name: str,
        reads: Mapping[str, Path],
        settings: Mapping[str, Any],
        outputs: Iterable[str],
        work: Callable[[Path], dict[str, Any] | None],
        adopt: Callable[[list[str]], list[str]] | None = None,
    ) -> StageRecord:
        """Bring a stage up to date.

        Args:
            name: the stage's name in the manifest.
            reads: every file that it reads, by a name that stays the same when the folder moves.
            settings: everything else that its result depends on, as plain values.
            outputs: the files or folders it makes, relative to the film's folder.
            work: makes them below the folder that it is given, and returns its report.
            adopt: called with those of `outputs` that the user has changed; brings the stage's other files in line
                and returns the names of those that it wrote.
        """
        outputs = list(outputs)
        inputs = {key: file_hash(path) for key, path in sorted(reads.items())}
        description = json.dumps([name, __version__, inputs, dict(settings), outputs], sort_keys=True, default=str)
        fingerprint = hashlib.sha256(description.encode()).hexdigest()
        record = self.stages.get(name)
        edits = record.edited if record else []
        current = (
            record is not None
            and record.fingerprint == fingerprint
            and all(self.path(output).exists() for output in outputs)
        )
        if record is None or not current:
            record = self._execute(name, fingerprint, outputs, edits, work)
        if edits and adopt is not None:
            for output in adopt(edits):
                record.outputs[output] = file_hash(self.path(output))
            self.save()
        return record

    def _execute(
        self,
        name: str,
        fingerprint: str,
        outputs: list[str],
        edits: list[str],
        work: Callable[[Path], dict[str, Any] | None],
    ) -> StageRecord:
        started = time.perf_counter()
        with self._scratch(name) as scratch:
            report = work(scratch) or {}
            seconds = time.perf_counter() - started
            missing = [output for output in outputs if not (scratch / output).exists()]
            if missing:
                raise RuntimeError(f"stage {name} did not write {', '.join(missing)}")
            # Forget the old record first: killed between two renames, the stage must run again,
            # and its new files must not pass for the user's edits of the old ones.
            if self.stages.pop(name, None) is not None:
                self.save()
            written = {}
            for output in outputs:
                written[output] = file_hash(scratch / output)
                if output in edits and self.path(output).exists():
                    self.say(f"{output} is your edit and stays; delete it to have it made again")
                    continue
                self._move(scratch / output, self.path(output))
        record = StageRecord(fingerprint, written, round(seconds, 3), report, edits)
        self.stages[name] = record
        self.executed.append(name)
        self.save()
        return record

    @contextmanager
    def _scratch(self, name: str) -> Iterator[Path]:
        scratch = self.folder / _SCRATCH / name.replace("/", "_")
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            if not any((self.folder / _SCRATCH).iterdir()):
                (self.folder / _SCRATCH).rmdir()

    @staticmethod
    def _move(made: Path, final: Path) -> None:
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.is_dir():
            # A folder cannot be replaced in one step: put the old one aside first.
            aside = made.with_name(f"{made.name}.old")
            os.replace(final, aside)
        os.replace(made, final)
