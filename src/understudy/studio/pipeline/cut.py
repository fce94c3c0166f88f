"""One cut of a shot: where its files lie, and how a stage is run on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.core.footage import Shot
from understudy.runtime.progress import Progress
from understudy.studio.narration import Narrator
from understudy.studio.pipeline.config import RecastConfig
from understudy.studio.project import Project, StageRecord, files_hash

__all__ = ["Cut"]


@dataclass(frozen=True, eq=False)
class Cut:
    """A shot without cuts in it, or one cut of a longer one, in the film's folder."""

    project: Project
    shot: Shot
    config: RecastConfig
    narrator: Narrator
    prefix: str = ""
    """Where its files lie in the film's folder: "" or "cut_02/"."""

    def path(self, name: str) -> Path:
        """Where one of its files lies."""
        return self.project.path(self.prefix + name)

    @property
    def actor(self) -> str:
        """The folder of the actor who is replaced."""
        return f"actors/{self.config.actor}"

    def run(
        self,
        title: str,
        reads: list[str],
        settings: Mapping[str, Any],
        outputs: list[str],
        work: Callable[[Path, Progress], dict[str, Any] | None],
        adopt: Callable[[Path, list[str]], None] | None = None,
        reads_shot: bool = False,
    ) -> StageRecord:
        """Bring a stage of this cut up to date; see `Project.run`. Names are relative to the cut's folder.

        `reads` may name files of the whole film with a leading "/".
        """
        files = {name: self.project.path(name[1:]) if name.startswith("/") else self.path(name) for name in reads}
        settings = dict(settings)
        if self.shot.pictures:
            settings["frame_rate"] = str(self.shot.frame_rate)
        if reads_shot:
            if self.shot.pictures:
                settings["pictures"] = [files_hash(self.shot.pictures), self.shot.colour_space]
            else:
                files["shot"] = self.shot.path
            settings["range"] = [self.shot.start_frame, len(self.shot)]

        def narrated(scratch: Path) -> dict[str, Any] | None:
            folder = scratch / self.prefix
            for output in outputs:
                (folder / output).parent.mkdir(parents=True, exist_ok=True)
            with self.narrator.stage(f"{self.prefix.replace('/', ' ')}{title}") as progress:
                return work(folder, progress)

        def adopted(scratch: Path, edits: list[str]) -> None:
            assert adopt is not None
            folder = scratch / self.prefix
            for output in outputs:
                (folder / output).parent.mkdir(parents=True, exist_ok=True)
            adopt(folder, [name.removeprefix(self.prefix) for name in edits])

        return self.project.run(
            self.prefix + title,
            files,
            settings,
            [self.prefix + output for output in outputs],
            narrated,
            adopted if adopt else None,
        )

    def edits(self) -> list[str]:
        """Those of its files that the user has changed since we wrote them."""
        return [name.removeprefix(self.prefix) for name in self.project.edits if name.startswith(self.prefix)]
