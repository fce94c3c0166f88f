"""The stages of a film in their order: all that anything knows of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from understudy.runtime.errors import InputError, quoted
from understudy.studio.pipeline.artifact import Artifact, Level
from understudy.studio.pipeline.stage import Stage
from understudy.studio.pipeline.stages.camera_exports import CAMERA_EXPORTS
from understudy.studio.pipeline.stages.casting import CASTING
from understudy.studio.pipeline.stages.decomposing import (
    BODY,
    CAMERA_SOLVE,
    FIND_CUTS,
    FIND_PEOPLE,
    MATTING,
    PLATE,
    PRESENT,
)
from understudy.studio.pipeline.stages.finishing import FILMING, LIGHTING, RENDERING, SCENE_FILE
from understudy.studio.pipeline.stages.performing import CAMERA_FIT, RETARGETING
from understudy.studio.pipeline.stages.reporting import REPORTING

__all__ = ["STAGES", "StageRow", "artifact_of", "in_cuts", "markdown_table", "stage_named", "stage_table"]

STAGES: tuple[Stage[Any, Any, Any, Any], ...] = (
    CASTING, FIND_CUTS, FIND_PEOPLE, CAMERA_SOLVE, PLATE, MATTING, PRESENT, BODY, RETARGETING, CAMERA_FIT,
    CAMERA_EXPORTS, LIGHTING, RENDERING, SCENE_FILE, FILMING, REPORTING,
)  # fmt: skip


def stage_named(name: str) -> Stage[Any, Any, Any, Any]:
    """A stage by its name, in which spaces may be hyphens.

    Raises:
        InputError: there is none of that name.
    """
    for stage in STAGES:
        if stage.name == name.replace("-", " ").strip().lower():
            return stage
    names = ", ".join(stage.name.replace(" ", "-") for stage in STAGES)
    raise InputError(f"there is no stage {quoted(name)}; give one of {names}")


def in_cuts(until: str | None = None) -> Iterator[tuple[bool, list[Stage[Any, Any, Any, Any]]]]:
    """The stages in order, up to and with the one named, in groups: those of the whole film (False) or of each cut."""
    last = STAGES.index(stage_named(until)) if until else len(STAGES) - 1

    def of_cuts(stage: Stage[Any, Any, Any, Any]) -> bool:
        levels: tuple[Level, ...] = ("cut", "actor")
        return stage.level in levels

    for are, group in groupby(STAGES[: last + 1], of_cuts):
        yield are, list(group)


def artifact_of(file: str) -> Artifact | None:
    """What a file of the film's folder is (part of)."""
    found = [artifact for stage in STAGES for artifact in stage.makes if artifact.is_part(file)]
    return found[0] if found else None


@dataclass(frozen=True)
class StageRow:
    """A stage for people."""

    name: str
    what: str
    reads: tuple[str, ...]
    """Files of the film's folder."""
    makes: tuple[str, ...]
    settings: str
    """The class of its settings."""


def stage_table() -> list[StageRow]:
    """The stages in their order."""
    return [
        StageRow(
            stage.name,
            stage.what,
            tuple(dict.fromkeys(name for one in stage.inputs.values() for name in one.names)),
            tuple(dict.fromkeys(name for output in stage.outputs.values() for name in output.templates)),
            stage.settings_type.__name__,
        )
        for stage in STAGES
    ]


def markdown_table() -> str:
    """The stages as a table for the documentation."""
    lines = ["| Stage | What it does | Reads | Makes | Settings |", "|---|---|---|---|---|"]
    for row in stage_table():
        reads, makes = (", ".join(f"`{name}`" for name in names) for names in (row.reads, row.makes))
        lines.append(f"| {row.name} | {row.what} | {reads} | {makes} | `{row.settings}` |")
    return "\n".join(lines) + "\n"
