"""What a stage reads and makes, declared as the fields of two frozen dataclasses of nouns and of files.

    @dataclass(frozen=True)
    class BodyReads:
        landmarks: LandmarkTrack = given(LANDMARKS)
        others: dict[int, Path] = people(ROUGH_MATTE, "others")

From these declarations the files are found, hashed, read and handed to the stage's work: they are written down once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

from understudy.studio.pipeline.artifact import Artifact, Scope
from understudy.studio.pipeline.production import Production, read
from understudy.studio.project import files_hash

__all__ = [
    "Input", "Output", "Reading", "Target", "Targets", "bound", "edits_of", "every_actor", "every_cut", "given",
    "if_there", "inputs_of", "makes", "makes_for_people", "outputs_of", "people", "source", "the_shot",
]  # fmt: skip

Noun = TypeVar("Noun")


@dataclass(frozen=True)
class Reading:
    """What an input comes to for one scope."""

    files: dict[str, Path]
    """What is read, by a name that stays the same when the folder moves."""
    says: Any
    """Whatever else the result depends on: which files stand for what, and the shot's range."""
    load: Callable[[], Any]
    """Makes the noun."""


@runtime_checkable
class Input(Protocol):
    """Something that a stage reads."""

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """What it is of that stages make."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """What is read, for people."""
        ...

    def bind(self, production: Production, scope: Scope) -> Reading:
        """The files of this scope."""
        ...


def _for_people(name: str, camera: str | None = None) -> str:
    """The name of an artifact's file in a shot without cuts, with one character."""
    values = {"cut": "", "character": "character", "performance": "performance", "camera": camera or "{camera}"}
    kept = {key: f"{{{key}}}" for key in ("actor", "person", "film")}
    return name.format(**values, **kept)


def _reading(production: Production, artifact: Artifact, scope: Scope) -> Reading:
    names = artifact.files(scope)
    files = {name: production.path(name) for name in names}
    return Reading(files, list(names), lambda: read(artifact, production, scope))


def _together(readings: dict[str, Reading], load: Callable[[], Any]) -> Reading:
    files = {name: path for reading in readings.values() for name, path in reading.files.items()}
    return Reading(files, {name: reading.says for name, reading in readings.items()}, load)


@dataclass(frozen=True)
class _One:
    artifact: Artifact
    camera: str | None = None
    optional: bool = False

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        return (self.artifact,)

    @property
    def names(self) -> tuple[str, ...]:
        return (_for_people(self.artifact.name, self.camera),)

    def bind(self, production: Production, scope: Scope) -> Reading:
        scope = replace(scope, camera=self.camera)
        if self.optional and not all(production.path(name).exists() for name in self.artifact.files(scope)):
            return Reading({}, None, lambda: None)
        return _reading(production, self.artifact, scope)


@dataclass(frozen=True)
class _People:
    artifact: Artifact
    who: Literal["actors", "others"]
    instead: Artifact | None = None

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        return (self.artifact, self.instead) if self.instead else (self.artifact,)

    @property
    def names(self) -> tuple[str, ...]:
        return (_for_people(self.artifact.name),)

    def bind(self, production: Production, scope: Scope) -> Reading:
        roles = [scope.role] if scope.role else production.roles
        actors = {role.actor: role for role in roles}
        if self.who == "others":
            numbers = [number for number in production.people(scope.cut) if number not in actors]
        else:
            numbers = list(actors)
        readings: dict[int, Reading] = {}
        for number in numbers:
            own = replace(scope, person=number, role=actors.get(number))
            by_hand = self.instead if self.instead and production.edited(self.instead, own) else None
            readings[number] = _reading(production, by_hand or self.artifact, own)
        by_name = {str(number): reading for number, reading in readings.items()}
        return _together(by_name, lambda: {number: reading.load() for number, reading in readings.items()})


@dataclass(frozen=True)
class _Each:
    reads: type
    what: Literal["actor", "cut"]

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        return tuple(artifact for one in inputs_of(self.reads).values() for artifact in one.artifacts)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for one in inputs_of(self.reads).values() for name in one.names)

    def bind(self, production: Production, scope: Scope) -> Reading:
        if self.what == "cut":
            scopes = {cut.prefix: replace(scope, cut=cut.prefix) for cut in production.played}
        else:
            scopes = {str(role.actor): replace(scope, role=role) for role in production.roles}
        readings = {name: bound(self.reads, production, own) for name, own in scopes.items()}
        return _together(readings, lambda: tuple(reading.load() for reading in readings.values()))


@dataclass(frozen=True)
class _TheShot:
    artifacts: tuple[Artifact, ...] = ()
    names: tuple[str, ...] = ("the shot",)

    def bind(self, production: Production, scope: Scope) -> Reading:
        shot = production.shot_of(scope)
        says: dict[str, Any] = {"range": [shot.start_frame, len(shot)]}
        if shot.pictures:
            says |= {"pictures": files_hash(shot.pictures), "colour_space": shot.colour_space}
        return Reading({} if shot.pictures else {"shot": shot.path}, says, lambda: shot)


@dataclass(frozen=True)
class _Edits:
    of: tuple[Artifact, ...]
    artifacts: tuple[Artifact, ...] = ()
    names: tuple[str, ...] = ()

    def bind(self, production: Production, scope: Scope) -> Reading:
        edited = [artifact for artifact in self.of if production.edited(artifact, scope)]
        return Reading({}, [artifact.name for artifact in edited], lambda: tuple(edited))


@dataclass(frozen=True)
class _Source:
    """Files that the user gave, besides the shot."""

    find: Callable[[Production, Scope], tuple[dict[str, Path], Any]]
    names: tuple[str, ...]
    artifacts: tuple[Artifact, ...] = ()

    def bind(self, production: Production, scope: Scope) -> Reading:
        files, noun = self.find(production, scope)
        return Reading(files, None, lambda: noun)


def _input(one: Input) -> Any:
    return field(metadata={"input": one})


def given(artifact: Artifact[Noun], camera: str | None = None) -> Noun:
    """What another stage made."""
    return _input(_One(artifact, camera))


def if_there(artifact: Artifact[Noun]) -> Noun | None:
    """What another stage made if there was something to make; None: it is not there."""
    return _input(_One(artifact, optional=True))


def people(artifact: Artifact[Noun], who: Literal["actors", "others"], instead: Artifact[Noun] | None = None) -> Any:
    """The same of several people, by their numbers: of the actors who are replaced here, or of all others.

    Args:
        instead: where the user has edited this one, it is read in the artifact's place.
    """
    return _input(_People(artifact, who, instead))


def every_actor(reads: type) -> Any:
    """Several inputs for each actor who is replaced, the main actor first."""
    return _input(_Each(reads, "actor"))


def every_cut(reads: type) -> Any:
    """Several inputs for each cut that the actors are in."""
    return _input(_Each(reads, "cut"))


def the_shot() -> Any:
    """The shot's frames: of the stage's cut, or of all cuts."""
    return _input(_TheShot())


def edits_of(*artifacts: Artifact) -> Any:
    """Those of some artifacts that the user has changed."""
    return _input(_Edits(artifacts))


def source(find: Callable[[Production, Scope], tuple[dict[str, Path], Noun]], name: str) -> Noun:
    """What the user gave: its files, by names that stay the same wherever they lie, and what the stage is handed."""
    return _input(_Source(find, (name,)))


def inputs_of(reads: type) -> dict[str, Input]:
    """A stage's inputs by their names."""
    return {one.name: one.metadata["input"] for one in fields(reads)}


def bound(reads: type, production: Production, scope: Scope) -> Reading:
    """All inputs of a stage, whose noun is the dataclass of them."""
    readings = {name: one.bind(production, scope) for name, one in inputs_of(reads).items()}
    return _together(readings, lambda: reads(**{name: reading.load() for name, reading in readings.items()}))


@dataclass(frozen=True)
class Target(Generic[Noun]):
    """Where one artifact is to be made."""

    artifact: Artifact[Noun]
    path: Path
    """Of its file or folder; the folder that holds it is there."""
    _root: Path
    _scope: Scope

    def write(self, noun: Noun) -> None:
        """Write it, in all its formats."""
        assert self.artifact.write is not None, f"{self.artifact.name} is streamed"
        self.artifact.write(self.path, noun)
        if self.artifact.other_format:
            self.artifact.other_format.write(self._root / self._scope.named(self.artifact.other_format.name), noun)


Targets = Callable[[int], Target[Noun]]
"""Where one artifact of each person is to be made, by the person's number."""


@dataclass(frozen=True)
class Output:
    """Something that a stage makes."""

    artifact: Artifact
    camera: str | None = None
    optional: bool = False
    of_people: bool = False

    def names(self, scope: Scope) -> list[str]:
        """Its files and folders, relative to the film's folder."""
        if self.of_people:
            return [self.artifact.files(replace(scope, person=1))[0].rpartition("/")[0]]
        return [replace(scope, camera=self.camera).named(name) for name in self.artifact.names]

    @property
    def templates(self) -> tuple[str, ...]:
        """Its files and folders, for people."""
        return tuple(_for_people(name, self.camera) for name in self.artifact.names)

    def target(self, root: Path, scope: Scope) -> Any:
        """Where it is made below a folder."""
        scope = replace(scope, camera=self.camera)

        def of(person: int) -> Target:
            own = replace(scope, person=person)
            return Target(self.artifact, root / own.named(self.artifact.name), root, own)

        if self.of_people:
            return of
        path = root / scope.named(self.artifact.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        return Target(self.artifact, path, root, scope)


def makes(artifact: Artifact[Noun], camera: str | None = None, optional: bool = False) -> Any:
    """What the stage makes; `optional`: there may be nothing to make."""
    return field(metadata={"output": Output(artifact, camera, optional)})


def makes_for_people(artifact: Artifact) -> Any:
    """What the stage makes for each person whom it finds."""
    return field(metadata={"output": Output(artifact, of_people=True)})


def outputs_of(makes: type) -> dict[str, Output]:
    """What a stage makes, by names."""
    return {one.name: one.metadata["output"] for one in fields(makes)}
