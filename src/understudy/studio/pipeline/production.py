"""A film while it is made: its folder, its shot and cuts, and who plays whom."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count, takewhile
from pathlib import Path
from typing import TypeVar

from understudy.core.footage import Shot
from understudy.studio.delivery import film_name
from understudy.studio.narration import Narrator, SilentNarrator
from understudy.studio.pipeline.artifact import Artifact, Level, Role, Scope
from understudy.studio.pipeline.artifacts import ROUGH_MATTE
from understudy.studio.pipeline.config import RecastConfig
from understudy.studio.project import Project

__all__ = ["Cut", "Production", "read"]

Noun = TypeVar("Noun")


@dataclass(frozen=True, eq=False)
class Cut:
    """A shot without cuts in it, or one cut of a longer one."""

    shot: Shot
    prefix: str = ""
    """Where its files lie in the film's folder: "" or "cut_02/"."""


@dataclass
class Production:
    """What stages are run on."""

    project: Project
    shot: Shot
    """With all its cuts."""
    characters: tuple[Path, ...] = ()
    """The pictures or rigs that were given; none where only the shot is taken apart."""
    config: RecastConfig = field(default_factory=RecastConfig)
    narrator: Narrator = field(default_factory=SilentNarrator)
    cuts: Sequence[Cut] = ()
    """In order; one without a prefix where the shot has no cuts, which is what counts until they are looked for."""
    played: list[Cut] = field(default_factory=list)
    """The cuts in which the actors are."""

    def __post_init__(self) -> None:
        self.cuts = self.cuts or [Cut(self.shot)]
        self.played = self.played or list(self.cuts)

    @property
    def roles(self) -> tuple[Role, ...]:
        """Who is replaced by whom; the first is the main role, by whom the camera and the light are judged."""
        return (Role(self.config.actor),)

    def path(self, name: str) -> Path:
        """Where a file of the film lies."""
        return self.project.path(name)

    def shot_of(self, scope: Scope) -> Shot:
        """The cut, as a shot; the whole shot for what is not of one cut."""
        return next((cut.shot for cut in self.cuts if cut.prefix == scope.cut), self.shot)

    def scopes(self, level: Level, cut: Cut | None = None) -> list[Scope]:
        """Of each thing of a level, for those in a cut: the stages of that level are run once for each."""
        film = film_name(self.config.film_codec)
        if level == "film":
            return [Scope(film=film)]
        if level == "character":
            if not self.characters:  # Plates and mattes are made of shots alone.
                return []
            firsts = {role.character: role for role in reversed(self.roles)}
            return [Scope(role=firsts[number], film=film) for number in sorted(firsts)]
        prefix = cut.prefix if cut else ""
        return [Scope(prefix, role, film=film) for role in (self.roles if level == "actor" else (None,))]

    def people(self, cut: str) -> list[int]:
        """The numbers of the people who have a matte and landmarks: by the files that are there."""
        record = self.project.stages.get(f"{cut}people")
        outputs = record.outputs if record else {}
        return list(takewhile(lambda number: ROUGH_MATTE.files(Scope(cut, person=number))[0] in outputs, count(1)))

    def edited(self, artifact: Artifact, scope: Scope) -> list[str]:
        """The files of an artifact that the user has changed since we wrote them."""
        names = [scope.named(name) for name in artifact.names]
        within = tuple(f"{name}/" for name in names)
        return [file for file in self.project.edits if file in names or file.startswith(within)]


def read(artifact: Artifact[Noun], production: Production, scope: Scope) -> Noun:
    """An artifact from the film's folder.

    Raises:
        FileFormatError: it is not there, damaged, or not of this shot.
    """
    assert artifact.read is not None, f"{artifact.name} is never read"
    return artifact.read(production.path(scope.named(artifact.name)), production.shot_of(scope))
