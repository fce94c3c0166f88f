"""The film's folder: resume, edits, kills."""

import json
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import pytest
from stage_files import write

from understudy.io.temporary import temporary_name
from understudy.runtime.errors import FileFormatError, InputError
from understudy.studio.project import MANIFEST, Project, file_hash


def upper(project: Project, source: Path, suffix: str = "") -> None:
    def work(scratch: Path) -> dict[str, object]:
        (scratch / "upper.txt").write_text(source.read_text().upper() + suffix)
        return {"length": len(source.read_text())}

    project.run("upper", {"source": source}, {"suffix": suffix}, ["upper.txt"], work)


def double(project: Project) -> None:
    def work(scratch: Path) -> None:
        (scratch / "twice.txt").write_text(project.path("upper.txt").read_text() * 2)

    project.run("double", {"upper": project.path("upper.txt")}, {}, ["twice.txt"], work)


def make(folder: Path, source: Path, suffix: str = "") -> Project:
    project = Project(folder)
    project.find_edits()
    upper(project, source, suffix)
    double(project)
    project.close()
    return project


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.txt"
    path.write_text("take")
    return path


def test_second_run_does_nothing(tmp_path, source):
    assert make(tmp_path / "film", source).executed == ["upper", "double"]
    assert make(tmp_path / "film", source).executed == []


def test_where_open_files_cannot_be_removed_the_lock_is_let_go_first(tmp_path, source, monkeypatch):
    monkeypatch.setattr("understudy.studio.project.sys.platform", "win32")
    project, unlink = Project(tmp_path / "film"), Path.unlink

    def refuse_open_files(path: Path, missing_ok: bool = False) -> None:
        if path.name == ".lock" and project._lock.is_locked:
            raise PermissionError("The process cannot access the file")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse_open_files)
    project.close()
    assert not (tmp_path / "film").exists()


def test_only_what_depends_on_a_change_runs(tmp_path, source):
    make(tmp_path / "film", source)
    assert make(tmp_path / "film", source, suffix="!").executed == ["upper", "double"]
    (tmp_path / "film/twice.txt").unlink()
    assert make(tmp_path / "film", source, suffix="!").executed == ["double"]
    os.utime(source)  # a new date alone changes nothing
    assert make(tmp_path / "film", source, suffix="!").executed == []


def test_same_result_upstream_stops_the_chain(tmp_path, source):
    make(tmp_path / "film", source)
    source.write_text("TAKE")  # upper() gives the same file, so double() has nothing new to read
    assert make(tmp_path / "film", source).executed == ["upper"]


def test_a_stage_leaves_nothing_in_memory(tmp_path):
    class Film:
        """In a cycle with its stream, as FFmpeg's are."""

        def __init__(self) -> None:
            self.stream = [self]

    films = []

    def work(scratch: Path) -> None:
        film = Film()
        films.append(weakref.ref(film))
        (scratch / "a.txt").write_text("a")

    project = Project(tmp_path / "film")
    project.run("a", {}, {}, ["a.txt"], work)
    project.close()
    assert films[0]() is None


def test_an_edit_is_kept_and_used(tmp_path, source):
    make(tmp_path / "film", source)
    (tmp_path / "film/upper.txt").write_text("mine")
    project = make(tmp_path / "film", source)
    assert project.executed == ["double"]
    assert project.path("twice.txt").read_text() == "minemine"
    # … even when the stage has to run again,
    project = make(tmp_path / "film", source, suffix="!")
    assert project.path("upper.txt").read_text() == "mine"
    assert project.path("twice.txt").read_text() == "minemine"
    # … until it is deleted.
    project.path("upper.txt").unlink()
    assert make(tmp_path / "film", source, suffix="!").path("twice.txt").read_text() == "TAKE!TAKE!"


def test_a_failing_stage_leaves_nothing(tmp_path, source):
    project = Project(tmp_path / "film")

    def work(scratch: Path) -> None:
        (scratch / "half.txt").write_text("half")
        raise InputError("no")

    with pytest.raises(InputError):
        project.run("bad", {"source": source}, {}, ["half.txt"], work)
    assert [path.name for path in (tmp_path / "film").rglob("*")] == [".lock"]


@pytest.mark.posix
def test_killed_at_any_moment_then_resumed(tmp_path):
    """Kill a process in the middle of its second stage: the first is not redone, nothing is half-written."""
    script = f"""
import sys, time
from pathlib import Path
from understudy.studio.project import Project
project = Project(Path({str(tmp_path / "film")!r}))
def first(scratch):
    (scratch / "first.txt").write_text("first")
def second(scratch):
    with (scratch / "second.txt").open("w") as stream:
        for line in range(1000):
            print("line", line, file=stream, flush=True)
            if line == 10: print("started", flush=True)
            time.sleep({{pause}})
project.run("first", {{}}, {{}}, ["first.txt"], first)
project.run("second", {{}}, {{}}, ["second.txt"], second)
print(project.executed)
"""
    command = [sys.executable, "-c", script.replace("{pause}", "0.01")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "film/second.txt").exists()
    out = subprocess.run([sys.executable, "-c", script.replace("{pause}", "0")], capture_output=True, text=True).stdout
    assert out.endswith("['second']\n")
    assert (tmp_path / "film/second.txt").read_text().count("\n") == 1000
    assert not (tmp_path / "film/.unfinished").exists()


def run(folder: Path, text: str, names: tuple[str, ...] = ("one.txt", "two.txt"), outputs: tuple[str, ...] = ()):
    """One stage that writes `text` to all of `names`; what was said, and what was an edit."""
    said: list[str] = []
    project = Project(folder, said.append)
    project.find_edits()
    project.run("stage", {}, {"text": text}, outputs or names, write(list(names), text))
    project.close()
    return project, said


@pytest.mark.posix
@pytest.mark.parametrize("before", [None, "a"])
def test_killed_between_two_renames_is_no_edit_and_loses_none(tmp_path, monkeypatch, before):
    folder = tmp_path / "film"
    if before:
        run(folder, before)
        (folder / "two.txt").write_text("mine")
    moved = []

    def killed(made: Path, final: Path) -> None:
        if ".unfinished" in str(made):
            if moved:
                raise KeyboardInterrupt
            moved.append(final)
        rename(made, final)

    rename = os.replace
    with monkeypatch.context() as patch:
        patch.setattr("understudy.studio.project.os.replace", killed)
        project = Project(folder)
        project.find_edits()
        with pytest.raises(KeyboardInterrupt):
            project.run("stage", {}, {"text": "b"}, ["one.txt", "three.txt"], write(["one.txt", "three.txt"], "b"))
        project.close()
    project, _ = run(folder, "b")
    assert project.executed == ["stage"]
    assert (folder / "one.txt").read_text() == "b"
    assert (folder / "two.txt").read_text() == ("mine" if before else "b")


def test_an_edit_outlives_its_stage_working_elsewhere(tmp_path):
    """As when another actor is replaced for once."""
    run(tmp_path / "film", "a", ("actors/1/mask.txt",))
    (tmp_path / "film/actors/1/mask.txt").write_text("mine")
    run(tmp_path / "film", "a", ("actors/2/mask.txt",))
    _, said = run(tmp_path / "film", "a", ("actors/1/mask.txt",))
    assert (tmp_path / "film/actors/1/mask.txt").read_text() == "mine"
    assert (tmp_path / "film/actors/2/mask.txt").read_text() == "a"
    assert "actors/1/mask.txt is your edit and stays" in said[0]


def test_files_in_a_folder_are_kept_and_made_again_one_by_one(tmp_path):
    folder, names = tmp_path / "film", ("people/1.txt", "people/2.txt", "people/3.txt")
    run(folder, "a", names, ("people",))
    (folder / "people/.DS_Store").write_text("litter")
    (folder / "people/Thumbs.db").write_text("litter")
    project, _ = run(folder, "a", names, ("people",))
    assert project.executed == project.edits == []
    (folder / "people/2.txt").unlink()
    project, _ = run(folder, "a", names, ("people",))
    assert project.executed == ["stage"] and (folder / "people/2.txt").read_text() == "a"
    (folder / "people/1.txt").write_text("mine")
    project, _ = run(folder, "b", names[:2], ("people",))
    assert [(folder / name).is_file() and (folder / name).read_text() for name in names] == ["mine", "b", False]


def test_a_folder_with_nothing_left_in_it_goes(tmp_path):
    folder = tmp_path / "film"
    run(folder, "a", ("passes/exr/1.exr", "passes/exr/2.exr", "passes/old/1.txt"), ("passes",))
    (folder / "passes/old/notes.txt").write_text("mine")
    run(folder, "b", ("passes/png/1.png",), ("passes",))
    assert sorted(path.name for path in (folder / "passes").iterdir()) == ["old", "png"]
    assert [path.name for path in (folder / "passes/old").iterdir()] == ["notes.txt"]


def test_a_file_that_was_never_ours_stays(tmp_path):
    folder = tmp_path / "film"
    run(folder, "a", ("one.txt",))
    (folder / "two.txt").write_text("mine")
    run(folder, "a")
    assert (folder / "two.txt").read_text() == "mine"


def test_foreign_folders_and_broken_manifests_are_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="thesis"):
        Project(tmp_path / "mine")
    (tmp_path / "mine/thesis.txt").rename(tmp_path / "mine" / MANIFEST)
    with pytest.raises(FileFormatError, match="manifest"):
        Project(tmp_path / "mine")
    with pytest.raises(InputError, match="cannot be written to"):
        Project(tmp_path / "mine" / MANIFEST / "film")


def test_manifest_records_hashes_and_reports(tmp_path, source):
    make(tmp_path / "film", source)
    content = json.loads((tmp_path / "film" / MANIFEST).read_text())
    assert content["stages"]["upper"]["report"] == {"length": 4}
    assert content["stages"]["upper"]["inputs"] == {"source": file_hash(source)}
    assert content["stages"]["upper"]["outputs"]["upper.txt"] == file_hash(tmp_path / "film/upper.txt")


def test_a_sibling_follows_an_edit_and_is_not_taken_for_one(tmp_path):
    """A stage that writes one thing in two formats: an edit of one is carried into the other."""

    def follow() -> Project:
        project = Project(tmp_path / "film")
        project.find_edits()

        def work(scratch: Path) -> None:
            (scratch / "motion.txt").write_text("walk")
            (scratch / "motion.json").write_text('"walk"')

        def adopt(scratch: Path, edited: list[str]) -> None:
            (scratch / "motion.json").write_text(json.dumps(project.path("motion.txt").read_text()))

        project.run("motion", {}, {}, ["motion.txt", "motion.json"], work, adopt)
        project.close()
        return project

    follow()
    (tmp_path / "film/motion.txt").write_text("run")
    for _ in range(2):
        assert follow().edits == ["motion.txt"]
        assert (tmp_path / "film/motion.json").read_text() == '"run"'
    # Put back, not deleted: its sibling must not stay behind.
    (tmp_path / "film/motion.txt").write_text("walk")
    assert follow().edits == []
    assert (tmp_path / "film/motion.json").read_text() == '"walk"'


def test_two_processes_do_not_share_a_folder(tmp_path):
    project = Project(tmp_path / "film")
    with pytest.raises(InputError, match="another"):
        Project(tmp_path / "film")
    project.close()
    Project(tmp_path / "film").close()


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Somebody's own work beside the film's folder."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    return tmp_path / "mine"


def change_manifest(folder: Path, change: Callable[[dict], object]) -> None:
    content = json.loads((folder / MANIFEST).read_text())
    change(content)
    (folder / MANIFEST).write_text(json.dumps(content))


HASH = "0" * 64
HOSTILE_NAMES = (
    *("people/../../mine/thesis.txt", "../mine/thesis.txt", "/etc/hostname", "", ".", "a\\b", "C:a", "a\x1b", "a//b"),
)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_no_name_in_a_manifest_reaches_out_of_the_folder(tmp_path, outside, name):
    folder, names = tmp_path / "film", ("people/1.txt", "people/2.txt")
    run(folder, "a", names, ("people",))
    whole = (folder / MANIFEST).read_text()
    places = (
        lambda film: film["stages"]["stage"]["outputs"].update({name: HASH}),
        lambda film: film["stages"]["stage"]["edited"].append(name),
        lambda film: film["stages"]["stage"]["adopted"].append(name),
        lambda film: film["written"].update({name: HASH}),
        lambda film: film["arriving"].update({name: HASH}),
    )
    for place in places:
        (folder / MANIFEST).write_text(whole)
        change_manifest(folder, place)
        with pytest.raises(FileFormatError, match="manifest"):
            run(folder, "b", names[:1], ("people",))
        assert (outside / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    "change",
    [
        lambda film: film["written"].update({"people/1.txt": "no hash"}),
        lambda film: film["stages"]["stage"].update(fingerprint=7),
        lambda film: film["stages"]["stage"].update(seconds=-1),
        lambda film: film["stages"]["stage"].update(outputs=["people/1.txt"]),
        lambda film: film["stages"]["stage"].update(report="good"),
        lambda film: film["stages"].update(other=None),
        lambda film: film.update(stages=[]),
        lambda film: film.pop("arriving"),
    ],
)
def test_a_manifest_of_wrong_kinds_is_refused(tmp_path, change):
    run(tmp_path / "film", "a")
    change_manifest(tmp_path / "film", change)
    with pytest.raises(FileFormatError, match="manifest"):
        Project(tmp_path / "film")


NO_JSON = (b"", b"{", b"[" * 100_000, b"1" * 5000, b"\xff\xfe", b'{"film": NaN}', b'"\\ud800"')


@pytest.mark.parametrize("content", NO_JSON)
def test_a_manifest_that_is_no_json_is_refused_and_lets_go_of_the_folder(tmp_path, content):
    run(tmp_path / "film", "a")
    (tmp_path / "film" / MANIFEST).write_bytes(content)
    for _ in range(2):
        with pytest.raises(FileFormatError, match="manifest"):
            Project(tmp_path / "film")


@pytest.mark.parametrize("name", [".unfinished", "people", "actors/1", ".lock", MANIFEST, "nowhere"])
def test_nothing_is_written_or_removed_through_a_link(tmp_path, outside, name):
    folder, names = tmp_path / "film", ("people/1.txt", "actors/1/mask.txt")
    run(folder, "a", names)
    path = folder / name
    if path.is_dir():
        path.rename(outside / "moved")
        (outside / "moved/thesis.txt").write_text("years of work")
    elif path.exists():
        path.rename(outside / "moved")
    else:
        (outside / "moved").mkdir()
        (outside / "moved/thesis.txt").write_text("years of work")
    path.symlink_to(tmp_path / "absent" if name == "nowhere" else outside / "moved")
    before = {file: file.read_bytes() for file in outside.rglob("*") if file.is_file()}
    with pytest.raises(InputError, match="link"):
        run(folder, "b", names)
    assert {file: file.read_bytes() for file in outside.rglob("*") if file.is_file()} == before


def test_a_film_in_a_folder_that_is_a_link_and_an_edit_that_is_one(tmp_path, outside):
    (outside / "film").mkdir()
    (tmp_path / "film").symlink_to(outside / "film")
    run(tmp_path / "film", "a")
    (tmp_path / "film/one.txt").unlink()
    (tmp_path / "film/one.txt").symlink_to(outside / "thesis.txt")
    run(tmp_path / "film", "b")
    assert (tmp_path / "film/one.txt").read_text() == (outside / "thesis.txt").read_text() == "years of work"
    assert (outside / "film/two.txt").read_text() == "b"


def test_a_temporary_name_is_no_way_out_either(tmp_path, outside):
    (tmp_path / "film").mkdir()
    temporary_name(tmp_path / "film/manifest.json").symlink_to(outside / "thesis.txt")
    with pytest.raises(InputError, match="is a link"):
        run(tmp_path / "film", "a")
    assert (outside / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("name", ["one.txt", "people/1.txt", ".lock"])
def test_a_folder_where_a_file_belongs_is_named(tmp_path, name):
    folder, names = tmp_path / "film", ("one.txt", "people/1.txt")
    run(folder, "a", names)
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(InputError, match=f"{name}' is a folder"):
        run(folder, "a", names)
    (folder / name).rmdir()
    run(folder, "a", names)


def test_a_file_where_a_folder_belongs_is_named(tmp_path):
    folder, names = tmp_path / "film", ("one.txt", "people/1.txt")
    run(folder, "a", names[:1])
    (folder / "people").write_text("mine")
    with pytest.raises(InputError, match="people' is no folder"):
        run(folder, "a", names)
    assert (folder / "people").read_text() == "mine"


@pytest.mark.posix
def test_what_is_no_file_is_replaced_and_never_waited_for(tmp_path):
    run(tmp_path / "film", "a")
    (tmp_path / "film/one.txt").unlink()
    os.mkfifo(tmp_path / "film/one.txt")
    run(tmp_path / "film", "a")
    assert (tmp_path / "film/one.txt").read_text() == "a"
    os.mkfifo(tmp_path / "film/three.txt")
    run(tmp_path / "film", "a", ("one.txt", "three.txt"))
    assert (tmp_path / "film/three.txt").read_text() == "a"


def test_a_name_that_is_no_text_is_no_obstacle(tmp_path):
    folder = tmp_path / os.fsdecode(b"film\xff")
    project = Project(folder)
    project.header = {"shot": folder.name}
    project.run("stage", {folder.name: Path(__file__)}, {"text": folder.name}, ["one.txt"], write(["one.txt"], "a"))
    project.close()
    assert run(folder, "b", ("one.txt",))[0].executed == ["stage"]
    assert len(file_hash(tmp_path)) == 64


def test_a_manifest_of_too_many_values_is_refused_before_it_takes_memory(tmp_path):
    run(tmp_path / "film", "a")
    (tmp_path / "film" / MANIFEST).write_text('{"film": {"x": [' + "[]," * 5_000_000 + "[]]}}")
    with pytest.raises(FileFormatError, match="values"):
        Project(tmp_path / "film")


def test_of_a_folder_in_which_nothing_was_made_nothing_is_left(tmp_path):
    (tmp_path / "given").mkdir()
    for name in ("new", "given"):
        Project(tmp_path / name).close()
    assert not (tmp_path / "new").exists() and not list((tmp_path / "given").iterdir())
    project, _ = run(tmp_path / "film", "a", ("one.txt",))
    project.close()
    assert (tmp_path / "film" / "one.txt").exists()
