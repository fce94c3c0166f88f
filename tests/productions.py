"""Films in the making, for tests of single stages."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.footage import Shot
from understudy.studio.narration import SilentNarrator
from understudy.studio.pipeline.config import RecastConfig
from understudy.studio.pipeline.production import Production
from understudy.studio.pipeline.stage import Stage
from understudy.studio.project import Project

__all__ = ["Listener", "a_shot", "production", "run"]


class Listener(SilentNarrator):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def a_shot(frames: int = 6, width: int = 64, height: int = 48) -> Shot:
    """A shot of which nobody reads the frames."""
    return Shot(Path("shot.mp4"), width, height, Fraction(24), np.arange(frames), Fraction(1, 24))


def production(folder: Path, shot: Shot | None = None, characters: Sequence[Path] = (), **options: Any) -> Production:
    """A film in a folder; close its project in the end."""
    project = Project(folder)
    project.find_edits()
    return Production(project, shot or a_shot(), tuple(characters), RecastConfig(**options), Listener())


def run(stage: Stage, film: Production) -> Any:
    """Bring a stage up to date, for all there is of its level in a film without cuts; gives its last report."""
    return [stage.run(film, scope) for scope in film.scopes(stage.level, film.cuts[0])][-1]
