"""JSON becomes typed records or one sentence; names that files give never leave their folder; pipes never block."""

import os
import tracemalloc

import pytest

from understudy.io.files import check_file, name_within, read_bytes, reading
from understudy.io.records import NameWithin, Record, read_record
from understudy.io.text import read_json
from understudy.runtime.errors import FileFormatError


class Clip(Record):
    name: NameWithin
    frames: int
    weights: tuple[float, ...] = ()


def test_a_record_comes_back_typed(tmp_path):
    (tmp_path / "clip.json").write_text('{"name": "a/b.mkv", "frames": 3, "weights": [1, 0.5], "later": true}')
    clip = read_record(tmp_path / "clip.json", Clip, "clip", 1000)
    assert clip == Clip(name="a/b.mkv", frames=3, weights=(1.0, 0.5))


@pytest.mark.parametrize(
    "content",
    [
        b"", b"nothing", b'{"name": 7, "frames": 3}',
        b"null", b"[]", b'{"frames": 3}', b'{"name": "a", "frames": "many"}',
        b'{"name": "a", "frames": 1e400}', b'{"name": "a", "frames": ' + b"9" * 5000 + b"}", b"\xff\xfe{}",
        b'{"name": "a", "frames": 3, "weights": [NaN]}', b'{"name": "a", "frames": 3, "weights": [1e999]}',
        b"[" * 100_000, b'{"name":' * 50_000, b'{"name": "../a", "frames": 3}', b'{"name": "/a", "frames": 3}',
    ],
)  # fmt: skip
def test_anything_else_is_one_short_sentence(tmp_path, content):
    path = tmp_path / "clip.json"
    path.write_bytes(content)
    with pytest.raises(FileFormatError) as caught:
        read_record(path, Clip, "clip", 1 << 20)
    text = str(caught.value)
    assert "clip.json" in text and text.isprintable() and len(text) < 700


class Reel(Record):
    clips: tuple[Clip, ...] | None = None
    cuts: list[tuple[int, int]] | None = None
    lengths: dict[str, int] | None = None


@pytest.mark.parametrize("item", ["[]", "{}", "0"])
def test_what_its_values_take_is_counted_before_they_are_parsed(tmp_path, item):
    path = tmp_path / "reel.json"
    path.write_text('{"later": [' + f"{item}," * 10_000_000 + f"{item}]}}")
    with pytest.raises(FileFormatError, match="MiB are read"):
        read_record(path, Reel, "reel", 1 << 26)
    with pytest.raises(FileFormatError, match="MiB are read"):
        read_json(path, "reel", 1 << 26)


@pytest.mark.parametrize("name", ["clips", "cuts", "lengths"])
def test_of_a_million_faults_one_is_kept(tmp_path, name):
    path = tmp_path / "reel.json"
    entries = "{" + ", ".join(f'"{n}": []' for n in range(60_000)) + "}"
    path.write_text(f'{{"{name}": {entries if name == "lengths" else "[" + "[]," * 300_000 + "[]]"}}}')
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match=rf"{name}\.0"):
            read_record(path, Reel, "reel", 1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a", "a/../../b", "/etc/passwd", "C:/a", "a\\b", "a\x00b", "a\nb", "a//b", "./a"]
)
def test_names_that_leave_their_folder_are_refused(name):
    with pytest.raises(ValueError, match="within the folder"):
        name_within(name)


@pytest.mark.parametrize("name", ["film.mp4", "actors/1/mask.mkv", "cut_01/camera/source.json", "Größe …/a b.png"])
def test_plain_names_pass(name):
    assert name_within(name) == name


@pytest.mark.posix
def test_pipes_folders_and_absent_files_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    for name, said in (("pipe.json", "pipe"), ("folder.json", "folder"), ("absent.json", "absent"), ("x" * 5000, "xx")):
        with pytest.raises(FileFormatError, match=said):
            check_file(tmp_path / name, "clip", 1000)
    with pytest.raises(FileFormatError):
        read_json(tmp_path / "pipe.json", "clip", 1000)


def test_a_file_is_not_opened_if_it_is_too_large(tmp_path):
    (tmp_path / "clip.json").write_bytes(b" " * (3 << 20))
    with pytest.raises(FileFormatError, match="3 MiB"):
        read_bytes(tmp_path / "clip.json", "clip", 1 << 20)


@pytest.mark.parametrize(
    "problem", [KeyError("a"), RecursionError(), MemoryError(), OSError(28, "No space"), ValueError("\x1b")]
)
def test_whatever_malformed_content_raises_is_one_sentence(tmp_path, problem):
    with pytest.raises(FileFormatError, match="no readable clip") as caught, reading(tmp_path / "a", "clip"):
        raise problem
    assert str(caught.value).isprintable()
