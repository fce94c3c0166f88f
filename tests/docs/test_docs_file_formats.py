"""docs/file_formats.md and its schemas are what is written, and nothing changes without another version."""

import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from page_makers import ROOT, maker, written

from understudy.io.arrays import read_arrays
from understudy.runtime.errors import FileFormatError
from understudy.studio import film_files

format_page = maker("scripts.format_page")
GOLDEN = json.loads((Path(__file__).parent / "film_formats.json").read_text(encoding="utf-8"))
"""By each format with its version: the fields of a file as it lies on disk, with their types and shapes."""

LIGHT = {
    "key_direction": [0, 1, 0], "key_colour": [1, 1, 1], "fill_sky": [1, 1, 1], "fill_ground": [0, 0, 0],
    "key_angle_deg": 1,
}  # fmt: skip


def test_the_page_and_the_schemas_are_in_step_with_the_code():
    assert format_page.page() == written("docs/file_formats.md"), "run: make docs"
    for name, text in format_page.schemas().items():
        assert text == written(f"docs/schemas/{name}"), "run: make docs"
    assert {path.name for path in (ROOT / "docs/schemas").iterdir()} == set(format_page.schemas())


def found(film: Path, names: str) -> list[Path]:
    """The files of a film by the names on the page."""
    patterns = names.split(", ")
    files = [path for path in sorted(film.rglob("*")) if path.is_file()]
    return [path for path in files if any(fnmatch(path.relative_to(film).as_posix(), p) for p in patterns)]


def json_fields(value: Any, way: str = "") -> dict[str, str]:
    """Every field by its way from the top, with its type; of lists the first one's."""
    if isinstance(value, dict):
        return {k: v for name, part in value.items() for k, v in json_fields(part, f"{way}.{name}".lstrip(".")).items()}
    if isinstance(value, list) and value and isinstance(value[0], (dict, list)):
        return json_fields(value[0], f"{way}[]")
    if isinstance(value, list):
        return {way: f"{len(value)} × {type(value[0]).__name__ if value else 'nothing'}"}
    return {way: type(value).__name__}


def array_fields(path: Path, frames: int) -> dict[str, str]:
    """Every array with its type and shape, in which `time` is the number of frames, `joint` that of
    a motion's joints, and n what differs."""
    with np.load(path) as file:
        fields = {}
        for name in file.files:
            array = file[name]
            known = {frames: "time", 22: "22", 33: "33", 4: "4", 3: "3", 2: "2"}
            known |= {len(file["joint_names"]): "joint"} if "joint_names" in file.files else {}
            shape = " ".join(known.get(size, "n") for size in array.shape)
            fields[name] = f"{array.dtype.kind}{'' if array.dtype.kind == 'U' else 8 * array.dtype.itemsize}: {shape}"
        return fields


@pytest.mark.parametrize("name", format_page.JSON_FILES)
def test_a_json_file_has_the_fields_of_its_version(film, name):
    kind = format_page.JSON_FILES[name]
    files = found(film, kind.names)
    assert files
    for file in files:
        content = json.loads(file.read_text(encoding="utf-8"))
        assert content["format"] == kind.format
        assert kind.title in GOLDEN, f"add the fields of {kind.title} to film_formats.json"
        if name == "manifest":
            first = next(iter(content["stages"].values()))
            fields = {part: "object" for part in content} | {f"stages.*.{part}": "object" for part in first}
        else:
            fields = json_fields(content)
        assert fields == GOLDEN[kind.title], f"{file.name} has other fields: raise the version in its format"


@pytest.mark.parametrize("name", format_page.JSON_FILES)
def test_a_schema_names_every_field_that_is_written(film, name):
    kind = format_page.JSON_FILES[name]
    top = set(json.loads(found(film, kind.names)[0].read_text(encoding="utf-8")))
    schema = json.loads(written(f"docs/schemas/{name}.schema.json"))
    assert top - {"conventions"} <= set(schema["properties"])
    assert set(schema["required"]) <= top
    assert all(said for field, _, said in format_page.fields(schema) if "*" not in field)


@pytest.mark.parametrize("table", format_page.TABLES, ids=lambda table: table.format)
def test_a_table_has_the_arrays_of_its_version(film, table):
    files = found(film, table.names)
    assert files
    frames = len(read_arrays(film / "people/landmarks_1.npz", "understudy landmarks 1")["seen"])
    for file in files:
        read_arrays(file, table.format)
        fields = array_fields(file, frames)
        assert set(fields) == {"format", *table.arrays}, "the page names other arrays than the file has"
        assert table.format in GOLDEN, f"add the fields of {table.format} to film_formats.json"
        assert fields == GOLDEN[table.format], f"{file.name} has other arrays: raise the version in its format"


def test_every_file_of_a_film_is_on_the_page(film):
    """By the table of files, which is made from what the stages make."""
    artifacts = [artifact for stage in format_page.STAGES for artifact in stage.makes]
    files = [path.relative_to(film).as_posix() for path in film.rglob("*") if path.is_file() and path.name[0] != "."]
    stray = [file for file in files if not any(is_of(artifact, file) for artifact in artifacts)]
    assert set(stray) <= {"manifest.json"}


def is_of(artifact: Any, file: str) -> bool:
    """Whether a file is an artifact, or lies in the folder that it is."""
    return artifact.is_part(file) or file.startswith(f"{artifact.name.removeprefix('{cut}')}/")


@pytest.mark.parametrize(
    ("name", "content", "load"),
    [
        ("light.json", LIGHT, film_files.load_light),
        ("presence.json", {"first_frame": 1, "present": [[1, 4]]}, lambda path: film_files.load_presence(path, 4)),
        ("cuts.json", {"first_frame": 1, "first_frames": [1]}, lambda path: film_files.load_cuts(path, 4)),
    ],
    ids=["light", "presence", "cuts"],
)
def test_another_version_is_one_sentence_and_none_is_the_first(tmp_path, name, content, load):
    path, format = tmp_path / name, f"understudy {name.partition('.')[0]} 1"
    path.write_text(json.dumps(content))
    first = load(path)
    path.write_text(json.dumps(content | {"format": format}))
    assert str(load(path)) == str(first)
    path.write_text(json.dumps(content | {"format": format.replace("1", "2")}))
    with pytest.raises(FileFormatError, match=f"format: Input should be '{format}', got '{format.replace('1', '2')}'"):
        load(path)
