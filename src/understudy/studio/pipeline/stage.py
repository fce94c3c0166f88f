"""A stage as a value: its name, its work, and by the work's types what it reads, makes, depends on and reports."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from understudy.runtime.errors import FileFormatError, InputError
from understudy.runtime.progress import Progress
from understudy.studio.pipeline.artifact import Artifact, Level, Scope
from understudy.studio.pipeline.config import RecastConfig
from understudy.studio.pipeline.inputs import Input, Output, Reading, bound, inputs_of, outputs_of
from understudy.studio.pipeline.production import Production
from understudy.studio.project import MANIFEST, StageRecord

__all__ = ["NoSettings", "Run", "Stage", "report_of"]

Reads = TypeVar("Reads")
Makes = TypeVar("Makes")
Settings = TypeVar("Settings")
Report = TypeVar("Report")

_LEVELS: tuple[Level, ...] = ("film", "character", "cut", "actor")


@dataclass(frozen=True)
class NoSettings:
    """Of a stage that depends on its inputs alone."""


@dataclass(frozen=True)
class Run:
    """What a stage's work is told that its result does not depend on."""

    progress: Progress
    say: Callable[[str], None]
    """One line for the user."""


def _silent(report: Any, config: RecastConfig) -> Iterator[str]:
    return iter(())


@dataclass(frozen=True)
class Stage(Generic[Reads, Makes, Settings, Report]):
    """One step of a film's making."""

    name: str
    work: Callable[[Reads, Makes, Settings, Run], Report]
    """Makes everything that `Makes` names, from what `Reads` names; streams frames, and holds no shot in memory."""
    settings: Callable[[RecastConfig], Settings]
    """What its result depends on besides its inputs."""
    remarks: Callable[[Report, RecastConfig], Iterator[str]] = _silent
    """What the user is told when it is done, or was found to be current. May raise InputError."""

    @cached_property
    def _types(self) -> dict[str, type]:
        hints = get_type_hints(self.work)
        report = hints.pop("return")
        return dict(zip(("reads", "makes", "settings", "run"), hints.values(), strict=True)) | {"report": report}

    @property
    def what(self) -> str:
        """What it does, in a sentence."""
        return (self.work.__doc__ or "").partition("\n")[0]

    @property
    def inputs(self) -> dict[str, Input]:
        """What it reads, by names."""
        return inputs_of(self._types["reads"])

    @property
    def reads(self) -> list[Artifact]:
        """What it reads that other stages made."""
        return list(dict.fromkeys(artifact for one in self.inputs.values() for artifact in one.artifacts))

    @property
    def outputs(self) -> dict[str, Output]:
        """What it makes, by names."""
        return outputs_of(self._types["makes"])

    @property
    def makes(self) -> list[Artifact]:
        """What it makes."""
        return list(dict.fromkeys(output.artifact for output in self.outputs.values()))

    @property
    def settings_type(self) -> type:
        """The frozen dataclass of its settings."""
        return self._types["settings"]

    @property
    def report_type(self) -> type:
        """The frozen dataclass of its report."""
        return self._types["report"]

    @property
    def level(self) -> Level:
        """What it is run for: once for the whole film, each character, each cut or each actor."""
        return _LEVELS[max(_LEVELS.index(artifact.level) for artifact in self.makes)]

    def key(self, scope: Scope, production: Production) -> str:
        """Its name in the manifest."""
        number = 1
        if self.level == "character" and scope.role:
            number = scope.role.character
        elif self.level == "actor" and scope.role:
            number = 1 + production.roles.index(scope.role)
        cut = scope.cut if self.level in ("cut", "actor") else ""
        return cut + self.name + (f" {number}" if number > 1 else "")

    def report_in(self, record: StageRecord) -> Report | None:
        """Its report as the manifest has it; None where that is no report of this stage."""
        try:
            reports: TypeAdapter[Any] = TypeAdapter(self.report_type)
            return reports.validate_json(json.dumps(record.report))
        except ValidationError:
            return None

    def run(self, production: Production, scope: Scope) -> Report:
        """Bring it up to date for one scope."""
        project, key = production.project, self.key(scope, production)
        reading = bound(self._types["reads"], production, scope)
        settings = self.settings(production.config)
        names = list(dict.fromkeys(name for output in self.outputs.values() for name in output.names(scope)))
        optional = [name for output in self.outputs.values() if output.optional for name in output.names(scope)]
        self._say_what_is_not_read(production, scope)
        known = project.stages.get(key)
        if known is not None and self.report_in(known) is None:
            known.fingerprint = ""  # of another version: it is made anew

        def work(scratch: Path) -> dict[str, Any]:
            with production.narrator.stage(f"{scope.cut.replace('/', ' ')}{self.name}") as progress:
                report = self.make(production, scope, scratch, Run(progress, production.narrator.say))
            return plain(asdict(report))  # type: ignore[call-overload]

        def adopt(scratch: Path, edits: list[str]) -> None:
            self._adopt(production, scope, scratch, edits)

        says = {"settings": plain(asdict(settings)), "reads": reading.says}  # type: ignore[call-overload]
        says |= self._rate(production, scope)
        follows = any(artifact.other_format for artifact in self.makes)
        record = project.run(key, reading.files, says, names, work, adopt if follows else None, optional)
        report = self.report_in(record)
        assert report is not None
        for sentence in self.remarks(report, production.config):
            production.narrator.say(sentence)
        return report

    def make(self, production: Production, scope: Scope, root: Path, run: Run) -> Report:
        """Do its work: make everything below a folder."""
        makes = self._types["makes"](**{name: output.target(root, scope) for name, output in self.outputs.items()})
        return self.work(self.load(production, scope), makes, self.settings(production.config), run)

    def load(self, production: Production, scope: Scope) -> Reads:
        """What it reads, for one scope."""
        return bound(self._types["reads"], production, scope).load()

    def reading(self, production: Production, scope: Scope) -> Reading:
        """The files that it reads, for one scope."""
        return bound(self._types["reads"], production, scope)

    def _rate(self, production: Production, scope: Scope) -> dict[str, Any]:
        """Pictures have the rate that the user says, which all that is timed depends on."""
        shot = production.shot_of(scope)
        return {"frame_rate": str(shot.frame_rate)} if shot.pictures else {}

    def _say_what_is_not_read(self, production: Production, scope: Scope) -> None:
        for output in self.outputs.values():
            if output.artifact.read is None and output.artifact.advice:
                own = Scope(scope.cut, scope.role, scope.person, output.camera, scope.film)
                for name in production.edited(output.artifact, own):
                    production.narrator.say(
                        f"{name} is for other programs and is not read back; {output.artifact.advice} instead"
                    )

    def _adopt(self, production: Production, scope: Scope, scratch: Path, edits: list[str]) -> None:
        """Carry an edit of one format of an artifact into the other.

        Raises:
            InputError: both were edited.
            FileFormatError: it has not as many frames as the shot.
        """
        shot = production.shot_of(scope)
        for artifact in self.makes:
            if artifact.other_format is None or artifact.read is None or artifact.write is None:
                continue
            name, other = (scope.named(name) for name in artifact.names)
            path, other_path = production.path(name), production.path(other)
            if name in edits and other in edits:
                raise InputError(
                    f"{other_path} and {path} are one motion in two formats and both were edited; delete the one that"
                    " you do not want"
                )
            if other in edits:
                noun = artifact.other_format.read(other_path, artifact.read(path, shot))
                if len(noun) != len(shot):
                    raise FileFormatError(
                        f"{other_path} has {len(noun)} frames, the shot {len(shot)}; export as many, or delete it to"
                        " have ours back"
                    )
                (scratch / name).parent.mkdir(parents=True, exist_ok=True)
                artifact.write(scratch / name, noun)
            elif name in edits:
                (scratch / other).parent.mkdir(parents=True, exist_ok=True)
                artifact.other_format.write(scratch / other, artifact.read(path, shot))


@dataclass(frozen=True)
class _ReportOf:
    stage: Stage
    artifacts: tuple[Artifact, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    def bind(self, production: Production, scope: Scope) -> Reading:
        record = production.project.stages[self.stage.key(scope, production)]
        report = self.stage.report_in(record)
        if report is None:
            raise FileFormatError(
                f"{production.path(MANIFEST)} holds no report of {self.stage.name}; delete it and make the film anew"
            )
        return Reading({}, plain(asdict(report)), lambda: report)


def report_of(stage: Stage[Any, Any, Any, Report]) -> Report:
    """What an earlier stage has to say about its own quality, as an input."""
    return field(metadata={"input": _ReportOf(stage)})


def plain(value: Any) -> Any:
    """A dataclass's values as JSON holds them: no number is infinite or none, and files count by what is in them."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items() if not isinstance(part, Path)}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
