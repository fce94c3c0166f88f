"""Trains a video model for scenes: preset, variant, geometry and data by name, resumed where it stopped."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator

from understudy.runtime.checks import check_option
from understudy.runtime.errors import InputError
from understudy.studio.narration import Narrator, SilentNarrator
from understudy.studio.outputs import own_folder
from understudy.synthetic.worlds.endless import ClipSizes, EndlessClips
from understudy.videogen.device import check_seed
from understudy.videogen.encoders.scene_encoder import SCENE_ENCODERS, geometry_source
from understudy.videogen.training.dataset_source import DatasetSource
from understudy.videogen.training.feed import ClipSource, EndlessSource, clip_sizes, prepared
from understudy.videogen.training.presets import PRESETS, varied
from understudy.videogen.training.train import ENDLESS, TrainingReport, train
from understudy.videogen.transformer.checkpoints import GeometryOrigin

__all__ = ["WAN_PRESET", "TrainSceneConfig", "train_scene"]

HELD_OUT_CLIPS = 6
WAN_PRESET = "wan-1.3b"
WAN_VARIANTS = ("default", "no_geometry")
WAN_ENCODER = "vggt"
"""The only one that sees pictures wider than high."""


@dataclass(frozen=True)
class TrainSceneConfig:
    """What is trained."""

    preset: str = "mini"
    """tiny, mini (two CPU cores, 3.5 hours), small (one GPU, not trained yet) or wan-1.3b (Wan's weights, a large
    GPU)."""
    variant: str = "default"
    """The model as it is, or one of its baselines and ablations (see videogen/presets.py)."""
    geometry: str | None = None
    """Where the set's geometry comes from: correlation (bundled, the default), vggt (your own weights; the default and
    only choice of wan-1.3b; no nearness), or oracle (the truth)."""
    data: str = ENDLESS
    """endless: clips are made while training; or a folder of clips in the Scene-Decoupled layout."""
    wan: Path | None = None
    """A folder of Wan's published parts; by default they are looked for in the local Hugging Face cache."""
    minutes: float | None = None
    """Stop after this long, with a checkpoint; the same command goes on from it."""
    steps: int | None = None
    """How many steps the whole training has (default: the preset's)."""
    seed: int = 0
    """Of weights, clips and noise."""

    def __post_init__(self) -> None:
        if self.preset not in (*PRESETS, WAN_PRESET):
            raise InputError(f"there is no preset {self.preset!r}; choose from {', '.join(PRESETS)}, {WAN_PRESET}")
        if self.geometry not in (None, "oracle", *SCENE_ENCODERS):
            raise InputError(f"--geometry is {self.geometry!r}; choose from oracle, {', '.join(SCENE_ENCODERS)}")
        if self.preset == WAN_PRESET and self.geometry not in (None, WAN_ENCODER):
            raise InputError(f"--geometry is {self.geometry}; {WAN_PRESET} takes its set's geometry from {WAN_ENCODER}")
        if self.preset == WAN_PRESET and self.variant not in WAN_VARIANTS:
            raise InputError(f"--variant is {self.variant}; {WAN_PRESET} has {' and '.join(WAN_VARIANTS)}")
        if self.minutes is not None:
            check_option("minutes", self.minutes, 1e-3, 1e6)
        if self.steps is not None:
            check_option("steps", self.steps, 1, 1_000_000_000)
        check_seed(self.seed)


def train_scene(run: Path, config: TrainSceneConfig, narrator: Narrator | None = None) -> TrainingReport:
    """Train in the folder `run`, or go on there: checkpoints, curves and sample pictures are in it.

    Raises:
        InputError: an unknown name, the folder holds a training with other settings, or it cannot be written to.
        BackendUnavailable: the weights of the scene encoder or of Wan are absent.
    """
    narrator = narrator or SilentNarrator()
    own_folder(run)
    limit_s = float("inf") if config.minutes is None else 60 * config.minutes
    trained = _train_wan if config.preset == WAN_PRESET else _train_ours
    report = trained(run, config, limit_s, narrator)
    narrator.say(
        f"step {report.step} of {report.steps}, {report.samples_per_s:.1f} clips a second,"
        f" {100 * report.waited_share:.0f} % of the time waiting for clips; in {run}"
    )
    return report


def _train_ours(run: Path, config: TrainSceneConfig, limit_s: float, narrator: Narrator) -> TrainingReport:
    """A model of our own."""
    preset = varied(PRESETS[config.preset], config.variant)
    device = _device()
    origin = GeometryOrigin(config.geometry or "correlation", preset.geometry_part)
    geometry = None if preset.model.geometry == "none" else geometry_source(origin, device)
    model = preset.model
    if geometry is not None:
        nearness = model.nearness and origin.source != "vggt"  # VGGT's tokens do not say outright where patches lie
        model = replace(model, geometry_channels=geometry.channels, nearness=nearness)
    training = replace(preset.training, seed=config.seed, steps=config.steps or preset.training.steps)
    sizes = clip_sizes(model, preset.pictures)
    if config.data != ENDLESS and (origin.source == "oracle" or model.guide):
        raise InputError("--data holds no depth of the set's pictures; leave out --geometry oracle and explicit")
    held_out = prepared(
        EndlessClips(config.seed, sizes, device, "held_out").clips(range(HELD_OUT_CLIPS)), model, geometry
    )
    with narrator.stage(f"train {config.preset} {config.variant}") as progress:
        return train(
            run, model, training, _source(config, sizes, device), geometry, origin, _data(config), held_out, limit_s,
            progress=progress,
        )  # fmt: skip


def _train_wan(run: Path, config: TrainSceneConfig, limit_s: float, narrator: Narrator) -> TrainingReport:
    """Wan under our conditions. Imported here, because Wan's parts take seconds to import."""
    from understudy.videogen.wan.model import WAN_1_3B, load_wan
    from understudy.videogen.wan.train import WAN_TRAINING, WanOrigin, train_wan

    training = replace(WAN_TRAINING, seed=config.seed, steps=config.steps or WAN_TRAINING.steps)
    device = _device()
    weights = WAN_1_3B if config.wan is None else str(config.wan.resolve())
    wan = load_wan(weights, torch.bfloat16 if device.startswith("cuda") else torch.float32, device)
    origin = WanOrigin(weights, None if config.variant == "no_geometry" else WAN_ENCODER)
    encoder = None if origin.encoder is None else SCENE_ENCODERS[origin.encoder]().build(device)
    longer_px = max(training.height, training.width)
    sizes = ClipSizes(training.frames, training.height, training.width, training.pictures, longer_px)
    source = _source(config, sizes, device)
    with narrator.stage(f"train {config.preset} {config.variant}") as progress:
        return train_wan(run, wan, training, source, encoder, origin, _data(config), limit_s, progress)


def _source(config: TrainSceneConfig, sizes: ClipSizes, device: str) -> ClipSource:
    if config.data != ENDLESS:
        return DatasetSource.of_folder(Path(config.data), sizes, config.seed, device)
    return EndlessSource(EndlessClips(config.seed, sizes, device))


def _data(config: TrainSceneConfig) -> str:
    """What a checkpoint remembers of the data: a folder's name alone, so that it may be moved."""
    return ENDLESS if config.data == ENDLESS else f"folder {Path(config.data).resolve().name}"


def _device() -> str:
    """Of this process: its own GPU where there are several; the CPU where clips cannot be made on what there is."""
    device = Accelerator().device
    return str(device) if device.type == "cuda" else "cpu"
