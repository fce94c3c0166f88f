"""The truth about a shot, as a folder: what an extracted film is scored against.

joints.npz     joints_m (time 22 3, world, BODY_JOINTS), ground_contact (time 2), frame_rate
camera.json    as we write cameras
masks.mkv      coverage of the actor, lossless grey
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from understudy.core.camera import CameraPath
from understudy.io.arrays import read_arrays, write_arrays
from understudy.io.cameras.files import read_camera_json, write_camera_json
from understudy.io.video.streams import read_video
from understudy.runtime.checks import check_shape
from understudy.runtime.errors import FileFormatError
from understudy.synthetic.films.shots import SyntheticShot

__all__ = ["Truth", "read_truth", "write_truth"]

_KIND = "understudy truth 1"
_MASKS = "masks.mkv"


@dataclass(frozen=True)
class Truth:
    """Where the actor's joints and the camera really were."""

    joints_m: Float[np.ndarray, "time 22 3"]
    """In the world, +Y up."""
    ground_contact: Bool[np.ndarray, "time 2"]
    """Whether the left and the right foot stands."""
    camera: CameraPath
    masks: Path
    """A lossless grey film of the actor's silhouette."""

    def __post_init__(self) -> None:
        check_shape("joints_m", self.joints_m, len(self.camera), 22, 3)
        check_shape("ground_contact", self.ground_contact, len(self.camera), 2)

    def silhouettes(self) -> Iterator[Bool[np.ndarray, "height width"]]:
        """The actor's silhouette in every frame."""
        for mask in read_video(self.masks):
            yield mask > 127


def write_truth(folder: Path, shot: SyntheticShot) -> Truth:
    """Write the truth of a synthetic shot that was filmed into `folder`."""
    scene, rate = shot.scene, shot.scene.camera.frame_rate
    truth = Truth(scene.person.joints_m(), scene.ground_contact, scene.camera, shot.masks)
    write_camera_json(folder / "camera.json", truth.camera)
    write_arrays(
        folder / "joints.npz",
        _KIND,
        {
            "joints_m": truth.joints_m,
            "ground_contact": truth.ground_contact,
            "frame_rate": np.array([rate.numerator, rate.denominator]),
        },
    )
    return truth


def read_truth(folder: Path) -> Truth:
    """Read a truth.

    Raises:
        FileFormatError: a file is absent or damaged, or they are not of one length.
    """
    arrays = read_arrays(folder / "joints.npz", _KIND, ("joints_m", "ground_contact", "frame_rate"))
    camera = read_camera_json(folder / "camera.json")
    if not (folder / _MASKS).is_file():
        raise FileFormatError(f"{folder} holds no {_MASKS}: a truth needs the actor's silhouettes")
    try:
        rate = Fraction(int(arrays["frame_rate"][0]), int(arrays["frame_rate"][1]))
        if rate != camera.frame_rate:
            raise ValueError(f"joints have {rate} frames a second, the camera {camera.frame_rate}")
        return Truth(arrays["joints_m"], arrays["ground_contact"].astype(bool), camera, folder / _MASKS)
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise FileFormatError(f"{folder} holds no usable truth: {error}") from error
