"""Writes docs/file_formats.md and docs/schemas from the code that reads and writes each file of a film's folder."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.markdown import replaced, table
from understudy.io import passes
from understudy.io.cameras import files as cameras
from understudy.io.exr.write import EXR_LAYERS
from understudy.io.motions import arrays as motions
from understudy.io.records import Record
from understudy.studio import film_files, project
from understudy.studio.pipeline.order import STAGES

__all__ = ["JSON_FILES", "TABLES", "page", "schemas"]

ROOT = Path(__file__).parents[1]
PAGE, SCHEMAS = ROOT / "docs/file_formats.md", ROOT / "docs/schemas"


FIRST = {"{film}": "film.mp4"}
"""What stands for a name that options change."""


@dataclass(frozen=True)
class JsonFile:
    """A JSON file of ours."""

    names: str
    """Its name in the film's folder; * for what differs."""
    what: str
    record: type[Record]
    format: str | int
    """What its "format" says: with the version, or that alone."""

    @property
    def title(self) -> str:
        """Its format and version in words."""
        return self.format if isinstance(self.format, str) else f"understudy manifest {self.format}"


JSON_FILES = {
    "camera": JsonFile(
        "camera/source.json, camera/fitted.json",
        "A camera path. `focal_px` may be one number and `centre_px` be left out (the picture's centre); a rotation may"
        " have any length. \"conventions\" is for people, and not read.",
        cameras.CameraRecord, cameras.FORMAT,
    ),
    "light": JsonFile(
        "light.json", "The set's light, in linear light and the world's frame. The direction may have any length.",
        film_files.LightRecord, film_files.LIGHT,
    ),
    "presence": JsonFile(
        "actors/*/presence.json", "In which frames the actor is there, and so the character.",
        film_files.PresenceRecord, film_files.PRESENCE,
    ),
    "cuts": JsonFile(
        "cuts.json", "Where the shot's cuts are; each is recast by itself.", film_files.CutsRecord, film_files.CUTS
    ),
    "manifest": JsonFile(
        "manifest.json", "How the film was made: settings, versions, and the hash of every file that was read or"
        " written. Not meant to be edited.", project.ManifestRecord, project.FORMAT,
    ),
}  # fmt: skip
"""The JSON files by the names of their schemas."""


@dataclass(frozen=True)
class ArrayFile:
    """A table of arrays of ours."""

    names: str
    what: str
    format: str
    arrays: Mapping[str, str]


TABLES = (
    ArrayFile(
        "actors/*/motion.npz, performance/motion.npz",
        "A motion with its skeleton. `motion.bvh` beside it is the same in centimetres and degrees.",
        motions.MOTION, motions.MOTION_ARRAYS,
    ),
    ArrayFile(
        "people/landmarks_*.npz", "One person's landmarks through the shot.",
        motions.LANDMARK_TRACK, motions.LANDMARK_ARRAYS,
    ),
    ArrayFile(
        "camera/solution.npz",
        "The camera as the picture alone tells it: its world is the first camera (OpenCV axes), its unit of length is"
        " not known.",
        film_files.SOLUTION, film_files.SOLUTION_ARRAYS,
    ),
    ArrayFile(
        "actors/*/fit.npz", "How near the body came to its landmarks, when its feet stand, and where the camera's"
        " solution lies in the metric world.", film_files.FIT, film_files.FIT_ARRAYS,
    ),
)  # fmt: skip


def page() -> str:
    """The page as text, with its made parts anew."""
    text = PAGE.read_text(encoding="utf-8")
    text = replaced(text, "files", overview())
    text = replaced(text, "json", "\n".join(json_section(name, file) for name, file in JSON_FILES.items()))
    text = replaced(text, "tables", "\n".join(map(array_section, TABLES)))
    videos = [{"File": f"`passes/{name}`", "What it holds": what} for name, what in passes.PASS_FILES.items()]
    layers = [{"Channels": f"`{name}`", "What they hold": what} for name, what in EXR_LAYERS.items()]
    return replaced(text, "passes", f"{table(videos)}\n{table(layers)}")


def overview() -> str:
    """Every file that a stage makes, in the order of the stages."""
    rows = []
    for stage in STAGES:
        for output in stage.outputs.values():
            names = "<br>".join(f"`{FIRST.get(name, name)}`" for name in output.templates)
            rows.append({"File": names, "What it is": output.artifact.what, "Made by": stage.name})
    return table(rows)


def schema_of(file: JsonFile) -> dict[str, Any]:
    """The JSON schema of a file, as it is read."""
    schema = file.record.model_json_schema()
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": file.title, "description": file.what}
    return head | {key: value for key, value in schema.items() if key not in head}


def schemas() -> dict[str, str]:
    """The text of each schema by its file's name."""
    return {
        f"{name}.schema.json": json.dumps(schema_of(file), indent=1, ensure_ascii=False) + "\n"
        for name, file in JSON_FILES.items()
    }


def json_section(name: str, file: JsonFile) -> str:
    """A file's fields, with those of the objects in it."""
    names = ", ".join(f"`{part}`" for part in file.names.split(", "))
    rows = [
        {"Field": f"`{field}`", "Type": kind, "What it holds": said} for field, kind, said in fields(schema_of(file))
    ]
    head = f"### {file.title}\n\n{names} ([schema](schemas/{name}.schema.json)). {file.what}\n"
    return f"{head}\n{table(rows)}"


def fields(schema: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Each field by its way from the top, its type, and what it holds."""
    parts = schema.get("$defs", {})

    def walk(node: dict[str, Any], way: str) -> list[tuple[str, str, str]]:
        found = []
        for name, part in node.get("properties", {}).items():
            optional = name not in node.get("required", ())
            kind = kind_of(part, parts) + (", may be absent" if optional else "")
            found.append((way + name, kind, " ".join(part.get("description", "").split())))
            inner, step = inside(part, parts)
            found += walk(inner, f"{way}{name}{step}")
        return found

    return walk(schema, "")


def inside(part: dict[str, Any], parts: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The object that a field is, or holds many of."""
    if "$ref" in part:
        return parts[part["$ref"].rpartition("/")[2]], "."
    for key, step in (("items", "[]."), ("additionalProperties", ".*.")):
        if isinstance(part.get(key), dict) and "$ref" in part[key]:
            return parts[part[key]["$ref"].rpartition("/")[2]], step
    return {}, ""


def kind_of(part: dict[str, Any], parts: dict[str, Any]) -> str:
    """A type in words."""
    if "anyOf" in part:
        return " or ".join(kind_of(one, parts) for one in part["anyOf"] if one.get("type") != "null")
    if "const" in part:
        return f'"{part["const"]}"'
    if "prefixItems" in part:
        kinds = [kind_of(one, parts) for one in part["prefixItems"]]
        return f"[{', '.join(kinds)}]" if len(set(kinds)) > 1 else f"{len(kinds)} × {kinds[0]}"
    if part.get("$ref", "").endswith("JsonValue"):
        return "any value"
    if part.get("type") == "array":
        return f"list of {kind_of(part.get('items', {}), parts)}"
    if part.get("type") == "object" or "$ref" in part:
        inner = part.get("additionalProperties")
        return f"names with {kind_of(inner, parts)}" if isinstance(inner, dict) and inner else "object"
    return {"string": "text", "integer": "whole number", "number": "number", "boolean": "yes or no"}.get(
        part.get("type", ""), "any"
    )


def array_section(file: ArrayFile) -> str:
    """A table's arrays, with their axes."""
    names = ", ".join(f"`{part}`" for part in file.names.split(", "))
    rows = []
    for name, said in file.arrays.items():
        axes, _, what = said.partition(": ")
        rows.append({"Array": f"`{name}`", "Axes": axes or "–", "What it holds": what})
    return f"### {file.format}\n\n{names}. {file.what}\n\n{table(rows)}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    SCHEMAS.mkdir(exist_ok=True)
    for name, text in schemas().items():
        (SCHEMAS / name).write_text(text, encoding="utf-8")
