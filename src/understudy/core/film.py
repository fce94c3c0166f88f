"""What is rendered: performances in an environment, seen by a camera."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

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

    def joints_m(self) -> Float[np.ndarray, "time joint 3"]:
        """The joints over time, in the world, in metres."""
        return self.motion.T_world_joint()[..., :3, 3]


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
