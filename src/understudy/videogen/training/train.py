"""Training of the video model: one visible loop that goes on exactly where it was cut off.

All chance of a step comes from the seed and the step's number, and the clips of a step from its number, so that a run
that is killed at any moment and started again has the losses of one that was never interrupted.
"""

from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from jaxtyping import Float
from torch import Tensor, nn

from understudy.diffusion.schedule import TimeSampling, noised, velocity_error
from understudy.runtime.progress import Progress, silent
from understudy.videogen.sample import Sampling, sample_clips
from understudy.videogen.training.curves import Curves, write_contact_sheet
from understudy.videogen.training.feed import ClipSource, Feed, RenderProcess, TrainingClips, prepared
from understudy.videogen.training.learner import Learner, averaged_weights, resume
from understudy.videogen.training.optimisers import build_optimisers, learning_rate_share, set_learning_rates
from understudy.videogen.transformer.checkpoints import GeometryOrigin, write_checkpoint
from understudy.videogen.transformer.conditioning import GeometrySource
from understudy.videogen.transformer.model import ModelConfig, ModelOutput, VideoTransformer

__all__ = ["ENDLESS", "Order", "TrainingConfig", "TrainingReport", "train", "training_loss"]

Order = Literal["shuffled", "ordered", "progressive"]
"""Of the pictures of a set: permuted for every clip (CineScene, 3.4); as they were taken; or as they were taken, with
geometry alone at first and the pictures themselves later."""

PROGRESSIVE_SHARE = 0.3
"""Of the steps, before which progressive training shows no pictures."""
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
ORACLE = GeometryOrigin("oracle")
ENDLESS = "endless"
"""The name of clips that are made while training."""


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained."""

    steps: int
    batch: int
    """Clips a step, on each device."""
    frames_per_step: int
    """Of every clip, chosen anew each step: the whole clip is only sampled."""
    muon_rate: float = 0.02
    adamw_rate: float = 1e-3
    warm_up_steps: int = 100
    decay_share: float = 0.35
    """The learning rate falls to zero over this share of the steps."""
    average_decay: float = 0.998
    """Of the moving average of the weights, which is what is sampled from."""
    drop_probability: float = 0.1
    """That a condition of a clip is not told."""
    subject_weight: float = 2.5
    """Of pixels of the subject, against 1 elsewhere."""
    order: Order = "shuffled"
    align_weight: float = 0.5
    """Of the loss that draws hidden states to F_t; only for geometry "aligned"."""
    pool_chunks: int = 32
    """Batches of clips that are kept."""
    reuse: int = 4
    """How often a clip is seen, on average."""
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    compile: bool = False
    gradient_checkpointing: bool = False
    seed: int = 0
    log_every: int = 20
    checkpoint_every: int = 500
    picture_every: int = 1000
    times: TimeSampling = field(default_factory=TimeSampling)


@dataclass(frozen=True)
class TrainingReport:
    """Where a training stands."""

    step: int
    steps: int
    loss: float
    """Of the last step; NaN when no step was left to do."""
    samples_per_s: float
    """Of this call, rendering included."""
    waited_share: float
    """Of this call's time, spent waiting for clips."""

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        return self.step >= self.steps


def train(
    run: Path,
    model_config: ModelConfig,
    config: TrainingConfig,
    source: ClipSource,
    geometry: GeometrySource | None = None,
    origin: GeometryOrigin = ORACLE,
    data: str = ENDLESS,
    held_out: TrainingClips | None = None,
    time_limit_s: float = float("inf"),
    beside: bool = True,
    progress: Progress = silent,
) -> TrainingReport:
    """Train in the folder `run`, from its last checkpoint if it has one, until done or out of time.

    Start it with `accelerate launch` for many devices or sharded weights (FSDP2). `held_out` are whole clips to sample
    for pictures; `origin` and `data` say in the checkpoint what `geometry` and `source` are. `beside`: on a CPU, clips
    are rendered in a second process, for which `source` and `geometry` must be picklable; else between steps.

    Raises:
        InputError: the folder holds a training of another configuration.
        UnderstudyError: the loss is no longer finite.
    """
    accelerator = Accelerator()
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    model = VideoTransformer(model_config)
    model.gradient_checkpointing = config.gradient_checkpointing
    if config.compile:
        for block in model.blocks:  # one compilation serves them all
            block.compile()
    model, *optimisers = accelerator.prepare(model, *build_optimisers(model, config.muon_rate, config.adamw_rate))
    learner = Learner.begin(model, optimisers)
    facts = {
        "model": asdict(model_config), "training": asdict(config), "devices": accelerator.num_processes,
        "geometry": None if geometry is None else asdict(origin), "data": data,
    }  # fmt: skip
    first = resume(run, learner, facts)

    rank, device = accelerator.process_index, accelerator.device
    render = partial(_render, source, model_config, geometry, config.batch, rank)
    with RenderProcess(render) if beside and device.type == "cpu" else nullcontext(render) as rendered:
        feed = Feed(rendered, config.pool_chunks, config.reuse)
        curves = Curves(run / "curves.jsonl", first, config.steps, config.batch * accelerator.num_processes)
        step, loss = first, torch.tensor(float("nan"))
        for step in range(first + 1, config.steps + 1):
            chance = torch.Generator().manual_seed(_seed(config.seed, step, rank))
            device_chance = torch.Generator(device).manual_seed(_seed(config.seed, step, rank) + 1)
            with curves.waiting():
                clips = _clips_of_step(feed, step, config, chance, model_config.frames).to(device)

            share = learning_rate_share(step - 1, config.steps, config.warm_up_steps, config.decay_share)
            set_learning_rates(optimisers, share)
            loss = training_loss(model, model_config, clips, config, device_chance)
            accelerator.backward(loss)
            learner.step(decay=min(config.average_decay, step / (step + 9)))
            loss = loss.detach()

            done = curves.after_step(accelerator, step, loss, config.log_every, time_limit_s, progress)
            if held_out is not None and (step % config.picture_every == 0 or step == config.steps):
                _write_samples(run, step, accelerator, learner, held_out.to(device), config)
            if step % config.checkpoint_every == 0 or done:
                _save(accelerator, run, step, learner, model_config, facts, origin, clips.conditions.pictures.shape[1])
            if done:
                break
        return TrainingReport(step, config.steps, float(loss), curves.samples_per_s(step), curves.waited_share)


def training_loss(
    model: nn.Module,
    model_config: ModelConfig,
    clips: TrainingClips,
    config: TrainingConfig,
    chance: torch.Generator,
) -> Float[Tensor, ""]:
    """The error of the velocity, pixels of the subject weighted, and the alignment of hidden states where asked for."""
    clean = clips.video
    instant = config.times.draw(len(clips), chance)
    noise = torch.randn(clean.shape, generator=chance, device=clean.device)
    noisy = noised(clean, noise, instant)
    output: ModelOutput = model(noisy.to(PRECISIONS[config.precision]), instant, clips.conditions)
    error = velocity_error(output.clip, clean, noise, instant, model_config.prediction).mean(2)
    weight = 1 + (config.subject_weight - 1) * clips.mask
    loss = (error * weight).sum() / weight.sum()
    if output.geometry is not None:
        # Angular alignment as in Wu et al. 2025, Geometry Forcing.
        assert clips.conditions.geometry is not None
        likeness = F.cosine_similarity(output.geometry, clips.conditions.geometry.features, -1)
        loss = loss + config.align_weight * (1 - likeness).mean()
    return loss


def _render(
    source: ClipSource, model_config: ModelConfig, geometry: GeometrySource | None, clips: int, rank: int, number: int
) -> TrainingClips:
    """A chunk of clips; every device has numbers of its own."""
    return prepared(source((rank << 32) + number, clips), model_config, geometry)


def _clips_of_step(
    feed: Feed, step: int, config: TrainingConfig, chance: torch.Generator, frames: int
) -> TrainingClips:
    """The clips of a step with what is dropped, shuffled and left out."""
    clips = feed.batch(step - 1, config.batch, chance)
    chosen = torch.randperm(frames, generator=chance)[: config.frames_per_step].sort().values
    conditions = clips.frames(chosen).conditions.dropped(config.drop_probability, chance)
    if config.order == "shuffled":
        conditions = conditions.shuffled(chance)
    elif config.order == "progressive" and step <= PROGRESSIVE_SHARE * config.steps:
        conditions = replace(conditions, pictures=torch.zeros_like(conditions.pictures))
    return replace(clips.frames(chosen), conditions=conditions)


def _seed(seed: int, step: int, rank: int) -> int:
    """One number for all chance of a step on a device; even, so that its successor is free."""
    return 2 * ((seed * 1_000_003 + step) * 4096 + rank)


def _write_samples(
    run: Path, step: int, accelerator: Accelerator, learner: Learner, held_out: TrainingClips, config: TrainingConfig
) -> None:
    """Sample held-out clips with the averaged weights; every process does, because weights may be sharded."""
    model = accelerator.unwrap_model(learner.model)
    model.eval()
    with learner.averaged():
        sampled = sample_clips(model, held_out.conditions, 0, Sampling(precision=PRECISIONS[config.precision]))
    model.train()
    if accelerator.is_main_process:
        write_contact_sheet(run / f"sample_{step:08d}.png", held_out.video, sampled)


def _save(
    accelerator: Accelerator,
    run: Path,
    step: int,
    learner: Learner,
    model_config: ModelConfig,
    facts: dict[str, Any],
    origin: GeometryOrigin,
    pictures: int,
) -> None:
    state = learner.state()
    if accelerator.is_main_process:
        write_checkpoint(run, step, model_config, averaged_weights(state), state, facts, origin, pictures)
    accelerator.wait_for_everyone()
