"""Characters in motion: how the surface stretches and cuts into itself."""

from fractions import Fraction
from functools import cache
from pathlib import Path

from understudy.body.model import BodyModel
from understudy.core.character import Character
from understudy.core.motion import Motion
from understudy.retarget.retarget import retarget_motion
from understudy.studio.mocap import captured_motion

__all__ = ["MOTIONS", "POSES", "performed"]

MOTIONS = (
    "bandai1_walk_normal_001", "bandai1_run_normal_001", "bandai1_dance-short_normal_001", "bandai1_punch_normal_001",
    "bandai1_slash_normal_001", "cmu_jumping_jacks", "fair_wave_hello", "fair_jumping", "rokoko_dance",
    "xia_old_13_000",
)  # fmt: skip
"""The ten motions, of data/motions."""
POSES = (
    ("bandai1_walk_normal_001", 0.35), ("cmu_jumping_jacks", 0.31), ("bandai1_punch_normal_001", 0.55),
    ("bandai1_dance-short_normal_001", 0.6), ("bandai1_run_normal_001", 0.5),
)  # fmt: skip
"""What the sheets show: a motion, and which share of it has gone by."""
_RATE, _MAX_FRAMES = Fraction(12), 120


@cache
def _actor() -> Character:
    model = BodyModel.load()
    return model.character(model.shape_for_height(1.75))


@cache
def _captured(path: Path) -> Motion:
    return captured_motion(path, _actor(), _RATE, _MAX_FRAMES)


def performed(character: Character, name: str, data: Path) -> Motion:
    """A motion of data/motions on a character."""
    return retarget_motion(_captured(data / "motions" / f"{name}.bvh"), _actor(), character)
