"""What a user can choose when a subject is filmed in a set."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from understudy.core.camera import CameraPath
from understudy.core.camera_moves import SCENE_MOVES
from understudy.io.cameras.files import read_camera_json
from understudy.runtime.checks import check_option
from understudy.runtime.errors import InputError, quoted
from understudy.videogen.device import check_seed

__all__ = ["PRESET_NAMES", "CameraWords", "ShootConfig", "camera_of_words"]

PRESET_NAMES = ("tiny", "mini", "small", "wan-1.3b")
MAX_GUIDE = 100.0


@dataclass(frozen=True)
class ShootConfig:
    """How a clip is filmed."""

    preset: str = "mini"
    """Which bundled model films: mini or small; wan-1.3b needs a --model."""
    model: Path | None = None
    """A model of your own instead: a checkpoint folder of `understudy scene train`."""
    seed: int = 0
    """Another number, another take."""
    steps: int = 20
    """Of sampling."""
    sampler: Literal["euler", "heun"] = "euler"
    """Heun looks twice per step."""
    distance_m: float = 3.0
    """How far away the subject stands: arcs turn around it."""
    guide_words: float | None = None
    """Above 1: words count more (default: 1.3; 5 for wan-1.3b)."""
    guide_set: float | None = None
    """Above 1: the pictures of the set count more (default: 1.3; 1 for wan-1.3b)."""
    guide_camera: float = 1.0
    """Above 1: the camera path counts more."""
    device: str | None = None
    """cpu or cuda; by default a GPU where there is one."""
    wan: Path | None = None
    """A folder of Wan's published parts; by default they are looked for where the model was trained with them."""

    def __post_init__(self) -> None:
        if self.preset not in PRESET_NAMES:
            raise InputError(f"there is no preset {quoted(self.preset)}; choose from {', '.join(PRESET_NAMES)}")
        check_option("steps", self.steps, 1, 1000)
        check_option("distance_m", self.distance_m, 0.3, 100)
        for name in ("guide_words", "guide_set", "guide_camera"):
            if getattr(self, name) is not None:
                check_option(name, getattr(self, name), -MAX_GUIDE, MAX_GUIDE)
        check_seed(self.seed)

    def guidance(self, usual: Mapping[str, float]) -> dict[str, float]:
        """Scales of all conditions; `usual` are those of words and set where nothing else is asked for."""
        words = usual["words"] if self.guide_words is None else self.guide_words
        known = usual["set"] if self.guide_set is None else self.guide_set
        return {"words": words, "set": known, "camera": self.guide_camera}


@dataclass(frozen=True)
class CameraWords:
    """A camera move with its amount."""

    name: str
    """One of SCENE_MOVES."""
    amount: float
    """Degrees for pan, tilt, arc and arc_up, metres for dolly, truck and pedestal; positive is to the right, up and
    forwards."""


def camera_of_words(words: str) -> CameraWords | CameraPath:
    """What "MOVE:AMOUNT" says, or the path in a camera .json.

    Raises:
        InputError: an unknown move, no number, or an unreadable file.
    """
    if words.lower().endswith(".json"):
        return read_camera_json(Path(words))
    name, _, number = words.partition(":")
    try:
        amount = float(number or "0")
    except ValueError:
        amount = float("nan")
    if name not in SCENE_MOVES or not abs(amount) <= 360 or (name != "static" and not number):
        raise InputError(
            f'--camera is {quoted(words)}; give a move with its amount, such as "arc:+60" (moves:'
            f" {', '.join(SCENE_MOVES)}), or a camera .json"
        )
    return CameraWords(name, amount)
