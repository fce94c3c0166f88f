"""How large a field is, how long it learns, and how its camera is sought."""

import math
from dataclasses import dataclass, field

from understudy.runtime.checks import check_options

__all__ = ["CPU", "PAPER", "DNeRFConfig", "FieldConfig", "FieldTrainingConfig", "InversionConfig"]


@dataclass(frozen=True)
class FieldConfig:
    """The two networks, and how they are sampled along a ray."""

    width: int = 64
    """Neurons per layer, in both networks."""
    depth: int = 4
    """Layers of each network; the input enters again in the middle."""
    position_frequencies: int = 5
    time_frequencies: int = 3
    direction_frequencies: int = 2
    coarse_samples: int = 16
    """Stratified along the ray; they say where the fine ones go."""
    fine_samples: int = 16
    """Drawn where the coarse ones found something."""

    def __post_init__(self) -> None:
        check_options(
            self,
            width=(1, 4096),
            depth=(1, 64),
            **dict.fromkeys(("position_frequencies", "time_frequencies", "direction_frequencies"), (0, 32)),
            **dict.fromkeys(("coarse_samples", "fine_samples"), (1, 4096)),
        )


@dataclass(frozen=True)
class FieldTrainingConfig:
    """The pictures that the field learns from, and how long it learns."""

    views: int = 8
    """Cameras around the body at each key frame."""
    picture_px: int = 48
    """Side of each square picture."""
    rays: int = 512
    """Per step."""
    steps: int = 1000
    first_rate: float = 3e-3
    """Adam's learning rate; it falls exponentially to `last_rate`."""
    last_rate: float = 3e-4
    curriculum: float = 0.25
    """Over which share of the steps the key frames join, from the first to the last."""

    def __post_init__(self) -> None:
        check_options(
            self,
            views=(1, 1000),
            picture_px=(8, 4096),
            rays=(1, 1_000_000),
            steps=(1, 10_000_000),
            first_rate=(1e-9, 1),
            last_rate=(1e-9, 1),
            curriculum=(0, 1),
        )


@dataclass(frozen=True)
class InversionConfig:
    """The search for the camera."""

    picture_px: int = 56
    """Side of the square pictures that are compared: the actor with a margin."""
    stride: int = 2
    """Each step looks at every so many-th pixel of every so many-th row, from a random corner."""
    steps: int = 80
    first_rate: float = 0.02
    """Adam's learning rate, in radians and in shares of the distance; it falls exponentially to `last_rate`."""
    last_rate: float = 0.002
    semantic: float = 1.0
    """Weight of the keypoints."""
    instance: float = 1.0
    """Weight of the mask."""
    motion: float = 0.25
    """Weight of the body's flow."""
    smoothness: float = 0.1
    framing_tolerance: float = 0.04
    """Of keypoints, as a share of the actor's height in the picture: the error that costs 1."""
    mask_tolerance: float = 0.1
    """Of the masks' overlap: how far below 1 it costs 1."""
    flow_tolerance: float = 0.02
    """Of the flow from key frame to key frame, as the same share of the height."""
    turn_acceleration_rad: float = math.radians(25.0)
    """Tolerance for how the turn's offset changes its speed, per second squared."""
    shift_acceleration: float = 0.5
    """Tolerance for how the shift changes its speed, per second squared, as a share of the distance."""

    def __post_init__(self) -> None:
        check_options(
            self,
            picture_px=(8, 4096),
            stride=(1, 64),
            steps=(1, 1_000_000),
            first_rate=(1e-9, 1),
            last_rate=(1e-9, 1),
            **dict.fromkeys(("semantic", "instance", "motion", "smoothness"), (0, 1000)),
            **{name: (1e-6, 1000) for name in vars(self) if "tolerance" in name or "acceleration" in name},
        )


@dataclass(frozen=True)
class DNeRFConfig:
    """Everything about the reference fitter."""

    key_frames: int = 12
    """At most; they are spread evenly over the shot, and the camera's offsets are interpolated between them."""
    radiance_field: FieldConfig = field(default_factory=FieldConfig)
    training: FieldTrainingConfig = field(default_factory=FieldTrainingConfig)
    inversion: InversionConfig = field(default_factory=InversionConfig)

    def __post_init__(self) -> None:
        check_options(self, key_frames=(2, 10_000))


CPU = DNeRFConfig()
"""Minutes on one core."""

PAPER = DNeRFConfig(
    key_frames=48,
    radiance_field=FieldConfig(
        width=256,
        depth=8,
        position_frequencies=10,
        time_frequencies=4,
        direction_frequencies=4,
        coarse_samples=64,
        fine_samples=128,
    ),
    training=FieldTrainingConfig(
        views=4, picture_px=400, rays=4096, steps=800_000, first_rate=5e-4, last_rate=5e-5, curriculum=0.25
    ),
    inversion=InversionConfig(picture_px=400, stride=8, steps=300, first_rate=0.01, last_rate=0.001),
)
"""The size of Pumarola et al. 2021, section 4 (D-NeRF): days on one GPU."""
