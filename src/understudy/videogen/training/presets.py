"""The sizes of video model that we train, and the variants of it that the paper compares: all as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from understudy.runtime.errors import InputError
from understudy.videogen.training.train import TrainingConfig
from understudy.videogen.transformer.conditioning import GeometryPart
from understudy.videogen.transformer.model import ModelConfig
from understudy.videogen.transformer.text_encoder import FILM_VOCABULARY

__all__ = ["PRESETS", "VARIANTS", "Preset", "Variant", "varied"]


@dataclass(frozen=True)
class Preset:
    """A model, how it is trained, and on what clips."""

    model: ModelConfig
    training: TrainingConfig
    pictures: int
    """Of the set, evenly around the start view."""
    geometry_part: GeometryPart = "whole"


PRESETS = {
    "tiny": Preset(
        ModelConfig(
            picture_px=16, patch_px=8, frames=3, width=32, layers=2, heads=2, hidden=64, bottleneck=16, text_width=32,
            vocabulary=FILM_VOCABULARY, readings=2,
        ),
        TrainingConfig(
            steps=20, batch=2, frames_per_step=2, warm_up_steps=2, pool_chunks=2, reuse=2, precision="float32",
            log_every=1, checkpoint_every=5, picture_every=10,
        ),
        pictures=3,
    ),
    "mini": Preset(
        ModelConfig(
            picture_px=32, patch_px=8, frames=9, width=192, layers=6, heads=3, hidden=512, bottleneck=64, text_width=96,
            vocabulary=FILM_VOCABULARY, finer_px=48,
        ),
        TrainingConfig(steps=12_500, batch=16, frames_per_step=4, subject_weight=3.5, reuse=6),
        pictures=6,
    ),
    "small": Preset(
        ModelConfig(
            picture_px=128, patch_px=16, frames=17, width=384, layers=12, heads=6, hidden=1024, bottleneck=128,
            text_width=192, vocabulary=FILM_VOCABULARY,
        ),
        TrainingConfig(steps=5000, batch=128, frames_per_step=8, pool_chunks=8, reuse=2, compile=True),
        pictures=8,
    ),
}  # fmt: skip
"""tiny: for tests; mini: for two CPU cores and three and a half hours; small: for one GPU, not trained yet."""


@dataclass(frozen=True)
class Variant:
    """What differs from a preset."""

    what: str
    model: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    geometry_part: GeometryPart = "whole"
    numbered: bool = False
    """Pictures know their number: without it, no order can be learned."""


VARIANTS = {
    "default": Variant("rays; geometry added to the picture tokens; shuffled"),
    "paper": Variant(
        "as CineScene: [R|t] per frame; I_t and F_t joined along the frames; shuffled; and no nearness",
        {"camera": "matrix", "context": "frames"}, numbered=True,
    ),
    "frames": Variant(
        "geometry joined along the frames instead of added; their number tells which belong together",
        {"context": "frames"}, numbered=True,
    ),
    "matrix": Variant("[R|t] per frame instead of rays, and no nearness", {"camera": "matrix"}),
    "no_geometry": Variant("pictures of the set alone", {"geometry": "none"}),
    "no_nearness": Variant("F_t as tokens alone: attention is not drawn to where rays pass", {"nearness": False}),
    "image_tokens": Variant(
        "F_t without its camera token, and no nearness", {"nearness": False}, geometry_part="patches",
    ),
    "camera_token": Variant(
        "the camera token of F_t alone, and no nearness", {"nearness": False}, geometry_part="camera",
    ),
    "loss_guided": Variant("hidden states drawn to F_t instead of given it, and no nearness", {"geometry": "aligned"}),
    "numbered": Variant("shuffled pictures that know their number", numbered=True),
    "ordered": Variant("pictures always in one order", training={"order": "ordered"}, numbered=True),
    "progressive": Variant("in one order, geometry first", training={"order": "progressive"}, numbered=True),
    "explicit": Variant("a rendered point cloud instead of geometry", {"geometry": "none", "guide": True}),
    "no_context": Variant("the camera without the set", {"context": "none", "geometry": "none"}),
    "no_camera": Variant("the set without the camera", {"camera": "none"}),
}  # fmt: skip
"""Baselines and ablations (CineScene, tables 1 to 3)."""


def varied(preset: Preset, name: str) -> Preset:
    """A preset as one of VARIANTS. Raises InputError for an unknown name."""
    if name not in VARIANTS:
        raise InputError(f"there is no variant {name!r}; known: {', '.join(VARIANTS)}")
    variant = VARIANTS[name]
    numbered = {"numbered_pictures": preset.pictures} if variant.numbered else {}
    return replace(
        preset,
        model=replace(preset.model, **variant.model, **numbered),
        training=replace(preset.training, **variant.training),
        geometry_part=variant.geometry_part,
    )
