"""Folders for results: made, seen to be writable, and never a way out of themselves."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from understudy.evaluation.transfer import evaluate_transfer
from understudy.evaluation.transfer_shots import TransferConfig
from understudy.io.temporary import remove_abandoned, temporary_folder, temporary_name, whole_file
from understudy.io.text import replace_text
from understudy.runtime.errors import InputError
from understudy.studio.outputs import own_folder, writable_folder


@pytest.fixture
def mark() -> str:
    """What this process's temporary names say of it: machine, number, run."""
    return temporary_name(Path("a")).name.removeprefix(".a.understudy-")


@pytest.fixture
def gone(mark) -> str:
    """The same of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return mark.replace(f"-{os.getpid()}-", f"-{process.pid}-")


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path, mark, gone):
    parent = mark.replace(f"-{os.getpid()}-", f"-{os.getppid()}-")
    elsewhere = f"{int(gone[:8], 16) ^ 1:08x}{gone[8:]}"
    mine = [
        *(".clip.mp4", "clip.understudy-1.mp4", f"understudy-{gone}", ".part"),
        *(f".a.understudy-{owner}.mp4" for owner in (mark, parent, elsewhere)),
    ]
    for name in mine:
        (tmp_path / name).write_text("mine")
    (tmp_path / f".clip.understudy-{gone}.mp4").write_text("half a clip")
    (tmp_path / f".curves.understudy-{gone}").symlink_to(tmp_path / ".part")
    (tmp_path / f".a.understudy-{mark[:-4]}{int(mark[-4:], 16) ^ 1:04x}.mp4").touch()
    (tmp_path / f"understudy-camera-{gone}-abcd_123/deep").mkdir(parents=True)
    (tmp_path / f"understudy-camera-{gone}-abcd_123/link").symlink_to(tmp_path)
    assert writable_folder(tmp_path) == tmp_path
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(mine)


@pytest.mark.posix
def test_a_temporary_folder_of_a_killed_process_goes_at_the_next_start(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = (
        "import os, signal; from understudy.io.temporary import temporary_folder\n"
        "with temporary_folder('camera') as folder:\n"
        "    (folder / 'tracks.db').write_text('x')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"TMPDIR": str(tmp_path)}, check=False)
    assert len(list(tmp_path.glob("understudy-camera-*/tracks.db"))) == 1
    with temporary_folder("camera") as folder:
        assert list(tmp_path.iterdir()) == [folder]
        remove_abandoned(tmp_path / "absent")
    assert list(tmp_path.iterdir()) == []


def test_temporary_folders_of_one_process_leave_each_other_alone(tmp_path):
    with temporary_folder("camera", tmp_path) as one, temporary_folder("report", tmp_path) as two:
        assert one.is_dir() and two.is_dir()


def test_a_file_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(ZeroDivisionError), whole_file(path) as partial:
        partial.write_text(str(1 / 0))
    assert list(tmp_path.iterdir()) == []
    with whole_file(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
    assert list(tmp_path.iterdir()) == [path]


def test_no_file_is_written_through_a_link(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    temporary_name(tmp_path / "a.txt").symlink_to(tmp_path / "thesis.txt")
    (tmp_path / "a.txt").symlink_to(tmp_path / "thesis.txt")
    replace_text(tmp_path / "a.txt", "words")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"
    assert not (tmp_path / "a.txt").is_symlink()


@pytest.mark.parametrize("name", ["step_00000010", "video/whuman/scene000000", ".unfinished"])
def test_no_folder_below_one_for_results_is_a_link(tmp_path, name):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    (out / name).parent.mkdir(parents=True)
    elsewhere.mkdir()
    (out / name).symlink_to(elsewhere)
    with pytest.raises(InputError, match="is a link"):
        own_folder(out)
    (out / name).unlink()
    (tmp_path / "link").symlink_to(out)
    assert own_folder(tmp_path / "link") == tmp_path / "link"


def test_a_junction_of_windows_is_a_link(tmp_path, monkeypatch):
    (tmp_path / "out/pan_0").mkdir(parents=True)
    lstat = Path.lstat

    def with_junction(path: Path) -> object:
        status = lstat(path)
        return SimpleNamespace(st_mode=status.st_mode, st_reparse_tag=0xA0000003 if path.name == "pan_0" else 0)

    monkeypatch.setattr(Path, "lstat", with_junction)
    with pytest.raises(InputError, match=r"pan_0.*is a link"):
        own_folder(tmp_path / "out")


def test_an_evaluation_is_not_written_through_a_link(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/pan_0").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="is a link"):
        evaluate_transfer(tmp_path / "out", TransferConfig(moves=("pan",), shots=1))
    assert list((tmp_path / "elsewhere").iterdir()) == []
