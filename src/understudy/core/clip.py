"""A clip of a scene-decoupled dataset: one camera path, filmed with and without a subject."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from understudy.core.camera import CameraPath
from understudy.runtime.checks import check_shape

__all__ = ["SceneClip"]


@dataclass(frozen=True)
class SceneClip:
    """Some or all frames of a clip, the set's panorama, and what the clip shows in words."""

    scene: str
    take: str
    """Which of the scene's camera paths: 01, 02, …"""
    camera: CameraPath
    """One camera per frame that is held here."""
    video: UInt8[np.ndarray, "time height width 3"]
    """sRGB, with the subject."""
    empty: UInt8[np.ndarray, "time height width 3"]
    """The same path without the subject."""
    panorama: UInt8[np.ndarray, "rows columns 3"]
    """The empty set from the start view's place, equirectangular, the start view's direction in the middle."""
    words: str
    mask: UInt8[np.ndarray, "time height width"] | None = None
    """Coverage of the subject; None: the dataset has none."""
    depth_m: Float[np.ndarray, "time height width"] | None = None
    """Of the empty set along +Z, sky inf; None: the dataset has none."""

    def __post_init__(self) -> None:
        time, height, width = len(self.camera), self.camera.height, self.camera.width
        for name in ("video", "empty"):
            check_shape(name, getattr(self, name), time, height, width, 3)
        for name in ("mask", "depth_m"):
            if getattr(self, name) is not None:
                check_shape(name, getattr(self, name), time, height, width)
        check_shape("panorama", self.panorama, None, None, 3)

    def __len__(self) -> int:
        return len(self.camera)
