"""A set and a person in front of a lens: the linear light of one instant, and the truth about it."""

from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType

import cv2
import numpy as np
from jaxtyping import Float

from understudy.core.camera import CameraPath
from understudy.core.film import Take
from understudy.core.passes import Passes
from understudy.render.backends.opengl import OpenGL
from understudy.synthetic.films.lens import circle_of_confusion, defocused, out_of_focus
from understudy.synthetic.textures import Texture

__all__ = ["PERSON", "SHADOW_MAP_PX", "FilmStage", "LensPicture"]

SHADOW_MAP_PX = 2048
PERSON = 2
"""The person's id in the passes: the second performance of a take."""
NEAREST_FOCUS_M = 0.3


@dataclass(frozen=True)
class LensPicture:
    """What the lens shows at one instant, or in the mean of several."""

    picture: Float[np.ndarray, "height width 3"]
    """Linear light of set and person."""
    background: Float[np.ndarray, "height width 3"]
    """Linear light of the set alone."""
    share: Float[np.ndarray, "height width"]
    """Coverage of the person, 0 … 1."""
    depth_m: Float[np.ndarray, "height width"]


class FilmStage:
    """Shows takes of one set and one person; use it as a context manager.

    `aperture_m` is the diameter of the lens's opening, focused on the person's root joint; with 0 everything is sharp.
    """

    def __init__(self, sky: Texture, aperture_m: float = 0.0, shadow_map_px: int = SHADOW_MAP_PX) -> None:
        self.sky, self.aperture_m = sky, aperture_m
        self._shadow_map_px = shadow_map_px
        self._plate: tuple[bytes, Passes, Float[np.ndarray, "*size"], Float[np.ndarray, "height width 3"]] | None = None
        self._stack = ExitStack()

    def __enter__(self) -> "FilmStage":
        # One renderer each, so that what stands still stays on the device.
        self._with_person, self._without = (
            self._stack.enter_context(OpenGL(shadow_map_px=self._shadow_map_px, ground_shadow=False).build())
            for _ in range(2)
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def see(self, take: Take, frame: int) -> LensPicture:
        """A frame of a take whose performances are the set and the person, in this order."""
        scenery, person = take.performances
        plate, sky, background = self._empty(replace(take, performances=(scenery,)), frame)
        whole = self._with_person(take, frame)
        share = whole.matte(PERSON)
        picture = whole.colour + (1 - whole.alpha)[..., None] * sky
        if self.aperture_m > 0:
            camera, root_m = take.camera, person.motion.root_position_m[frame]
            focus_m = max(float((camera.T_camera_world[frame] @ [*root_m, 1.0])[2]), NEAREST_FOCUS_M)
            set_px, person_px = (
                circle_of_confusion(passes.depth_m, focus_m, self.aperture_m, float(camera.K[frame, 0, 0]))
                for passes in (plate, whole)
            )
            picture, share = out_of_focus(picture, background, share, person_px, set_px)
            background = defocused(background, set_px)
        return LensPicture(picture, background, share, whole.depth_m)

    def _empty(
        self, empty: Take, frame: int
    ) -> tuple[Passes, Float[np.ndarray, "*size"], Float[np.ndarray, "height width 3"]]:
        """The set alone: its passes, the sky behind it and the light of both; kept while the camera stands still."""
        view = empty.camera.T_world_camera[frame].tobytes() + empty.camera.K[frame].tobytes()
        if self._plate is None or self._plate[0] != view:
            plate = self._without(empty, frame)
            # Where the set fills the picture there is no sky to work out.
            filled = plate.alpha.min() >= 1
            sky = np.zeros(1, np.float32) if filled else _sky(self.sky, empty.camera, frame)
            background = plate.colour + (1 - plate.alpha)[..., None] * sky
            self._plate = view, plate, sky, background
        return self._plate[1:]


def _sky(sky: Texture, camera: CameraPath, frame: int) -> Float[np.ndarray, "height width 3"]:
    """Linear light from behind everything, in the direction of each pixel."""
    columns, rows = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    pixels = np.stack([columns, rows, np.ones_like(rows)], -1)
    rays = pixels @ np.linalg.inv(camera.K[frame]).T @ camera.T_world_camera[frame, :3, :3].T
    rows, columns = sky.shape[:2]
    around = (np.arctan2(rays[..., 0], -rays[..., 2]) / (2 * np.pi)) % 1.0 * columns
    up = np.clip(np.arctan2(rays[..., 1], np.hypot(rays[..., 0], rays[..., 2])) / (np.pi / 2), 0, 1)
    seen = cv2.remap(
        sky[..., :3], around.astype(np.float32), ((1 - up) * (rows - 1)).astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )  # fmt: skip
    return (seen / np.float32(255)) ** np.float32(2.2)
