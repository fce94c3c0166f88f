"""The film's folder on a disk that is full after any of its changes: nothing is lost, the film comes out the same."""

import errno
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from stage_files import write

from understudy.studio.project import MANIFEST, Project


class FullDisk:
    """A disk that takes so many changes and no more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, takes: int) -> None:
        self.left = takes
        for owner, name in ((os, "replace"), (os, "mkdir"), (Path, "write_text"), (Path, "write_bytes")):
            monkeypatch.setattr(owner, name, self.limited(getattr(owner, name)))

    def limited(self, change: Callable) -> Callable:
        def limited_change(path: Path, *arguments: object) -> object:
            if not self.left:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            self.left -= 1
            return change(path, *arguments)

        return limited_change


def films_files(folder: Path) -> dict[str, str]:
    files = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    return {name: re.sub(r'"seconds": [\d.e-]+', "", text) for name, text in files.items()}


def test_a_disk_that_is_full_at_any_moment_loses_nothing(tmp_path, monkeypatch):
    """Three stages of eight files, full after every single change; one file is the user's."""

    def film(folder: Path) -> list[str]:
        project = Project(folder)
        try:
            project.find_edits()
            for stage in "abc":
                names = [f"{stage}/{number}.txt" for number in range(3)]
                reads = {"before": folder / f"{chr(ord(stage) - 1)}/0.txt"} if stage > "a" else {}
                project.run(stage, reads, {}, [stage], write(names, stage))
            return project.executed
        finally:
            project.close()

    monkeypatch.setattr("understudy.studio.project.give_memory_back", lambda: None)
    film(tmp_path / "whole")
    (tmp_path / "whole/a/1.txt").write_text("mine")
    film(tmp_path / "whole")
    whole = films_files(tmp_path / "whole")
    for takes in range(100):
        folder = tmp_path / f"film_{takes}"
        (folder / "a").mkdir(parents=True)
        (folder / "a/1.txt").write_text("mine")
        (folder / MANIFEST).write_text(json.dumps({"film": {}, "stages": {}, "written": {}, "arriving": {}}))
        with monkeypatch.context() as patch:
            disk = FullDisk(patch, takes)
            try:
                film(folder)
            except OSError as error:
                assert error.errno == errno.ENOSPC
        if disk.left:
            break
        for name, text in films_files(folder).items():
            assert name == MANIFEST or text == whole[name]
        film(folder)
        assert {name: films_files(folder)[name] for name in whole if name != MANIFEST} == {
            name: text for name, text in whole.items() if name != MANIFEST
        }
        assert not list(folder.rglob(".*understudy*")) and not (folder / ".unfinished").exists()
    assert 20 <= takes < 99
