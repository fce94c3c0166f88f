"""What is rendered: performances in an environment, seen by a camera."""

from dataclasses import dataclass

from understudy.core.camera import CameraPath
from understudy.core.character import Character
from understudy.core.environment import Light
from understudy.core.motion import Motion

__all__ = ["Performance", "Take"]


@dataclass(frozen=True)
class Performance:
    """A character and what it does: the motion is on the character's own skeleton, in the world."""

    character: Character
    motion: Motion


@dataclass(frozen=True)
class Take:
    """Everything that one render needs."""

    performances: tuple[Performance, ...]
    camera: CameraPath
    light: Light

    def __post_init__(self) -> None:
        for performance in self.performances:
            if len(performance.motion) != len(self.camera):
                raise ValueError(
                    f"{performance.character.name} moves for {len(performance.motion)} frames, "
                    f"the camera for {len(self.camera)}"
                )

    def __len__(self) -> int:
        return len(self.camera)
