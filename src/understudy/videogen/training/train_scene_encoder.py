"""Training of the small scene encoder, on depth, relative rotation and matches between pictures.

All chance of a step comes from the seed and the step's number, and its pictures from a number too: a run that is killed
and started again has the losses of one that was never interrupted. The bundled encoder is made by

    python -m understudy.videogen.training.train_scene_encoder RUN --out scene_encoder_mini.safetensors
"""

import argparse
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from understudy.io.text import replace_text
from understudy.runtime.errors import UnderstudyError
from understudy.runtime.progress import Progress, silent
from understudy.videogen.encoders.correlation import (
    DEEPEST_M,
    CorrelationEncoder,
    EncodedSet,
    EncoderConfig,
    save_correlation_encoder,
)
from understudy.videogen.encoders.matching import Matches, matching_loss, pairs_of
from understudy.videogen.encoders.set_pictures import LookingAround, PictureSource, SetPictures
from understudy.videogen.training.learner import Learner, resume
from understudy.videogen.training.optimisers import build_optimisers, learning_rate_share, set_learning_rates
from understudy.videogen.transformer.checkpoints import write_resumable

__all__ = [
    "EncoderFigures",
    "EncoderTraining",
    "encoder_loss",
    "main",
    "measure_scene_encoder",
    "train_scene_encoder",
]

HELD_OUT_BATCHES, HELD_OUT_BATCH = 6, 16
"""96 sets that no training sees, so many at once."""


@dataclass(frozen=True)
class EncoderTraining:
    """How a scene encoder is trained."""

    steps: int = 2000
    correlate_share: float = 0.125
    """Of the steps, before which only correlation is trained: attention has little use of wrong rotations."""
    batch: int = 16
    """Sets a step."""
    reuse: int = 2
    """How often a batch of sets is seen, each time from another first picture."""
    muon_rate: float = 0.01
    adamw_rate: float = 2.5e-3
    warm_up_steps: int = 50
    decay_share: float = 0.4
    average_decay: float = 0.995
    """Of the moving average of the weights, which is the result."""
    rotation_weight: float = 1.0
    depth_weight: float = 1.0
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    seed: int = 0
    checkpoint_every: int = 100


@dataclass(frozen=True)
class EncoderFigures:
    """How well an encoder sees scenes."""

    depth_abs_rel: float
    """Mean of |depth − truth| / truth over all that is nearer than 100 m."""
    rotation_mean_deg: float
    """Over all pictures but the first."""
    rotation_median_deg: float
    rotation_within_10_deg: float
    """Share of pictures."""
    rotation_correlation_mean_deg: float
    """The same without what attention adds to the correlation."""
    pictures: int
    """How many were measured."""


def train_scene_encoder(
    run: Path,
    source: PictureSource,
    config: EncoderConfig,
    training: EncoderTraining,
    time_limit_s: float = float("inf"),
    progress: Progress = silent,
    device: str = "cpu",
) -> tuple[CorrelationEncoder, list[float]]:
    """Train in the folder `run`, from its checkpoint if it has one, until done or out of time.

    Returns:
        The encoder with averaged weights, and the losses of this call's steps.

    Raises:
        InputError: the folder holds a training of another configuration.
        UnderstudyError: the loss is no longer finite.
    """
    run.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    torch.manual_seed(training.seed)
    model = CorrelationEncoder(config).to(device)
    optimisers = build_optimisers(model, training.muon_rate, training.adamw_rate)
    learner = Learner.begin(model, optimisers)
    facts = {"encoder": asdict(config), "training": asdict(training)}
    first = resume(run, learner, facts)
    losses: list[float] = []
    kept: tuple[int, SetPictures] | None = None
    for step in range(first, training.steps):
        number = step // training.reuse
        if kept is None or kept[0] != number:
            kept = (number, source(number, training.batch))
        chance = torch.Generator().manual_seed(training.seed * 1_000_003 + step)
        batch = _seen_anew(kept[1], config, chance)
        share = learning_rate_share(step, training.steps, training.warm_up_steps, training.decay_share)
        set_learning_rates(optimisers, share)
        loss = _loss_of_step(model, batch.to(device), step, training)
        loss.backward()
        _fill_gradients(model)
        learner.step(decay=min(training.average_decay, (step + 1) / (step + 10)))
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            raise UnderstudyError(f"the loss is no number at step {step}: start again with lower learning rates")
        done = step + 1 == training.steps or time.monotonic() - started > time_limit_s
        if done or (step + 1) % training.checkpoint_every == 0:
            _save(run, step + 1, model, learner, facts)
        progress(step + 1, training.steps)
        if done:
            break
    model.load_state_dict(learner.average)
    return model.eval().requires_grad_(False), losses


def encoder_loss(
    sight: EncodedSet, truth: SetPictures, config: EncoderConfig, training: EncoderTraining
) -> Float[Tensor, ""]:
    """Cross-entropies of correlation, the angle of rotations (radians) and the logarithm of depth, weighted."""
    # The root of 2 − 2 cos is the angle for small errors and does not blow up where it is zero.
    between = (sight.R_start_picture * truth.R_start_picture).sum((-2, -1))
    rotation = ((3 - between).clamp(min=0) + 1e-4).sqrt()[:, 1:].mean()
    depth = (sight.depth_m.log() - truth.depth_m.clamp(max=DEEPEST_M).log()).abs().mean()
    correlation = _correlation_loss(sight.matches, truth, config)
    return correlation + training.rotation_weight * rotation + training.depth_weight * depth


def _correlation_loss(matches: Matches, truth: SetPictures, config: EncoderConfig) -> Float[Tensor, ""]:
    R = truth.R_start_picture
    i, j = pairs_of(R.shape[1])
    return matching_loss(matches, R[:, j].mT @ R[:, i], config.cells, config.half_width)


def _loss_of_step(
    model: CorrelationEncoder, batch: SetPictures, step: int, training: EncoderTraining
) -> Float[Tensor, ""]:
    only_correlation = step < training.correlate_share * training.steps
    half = training.precision != "float32"
    with torch.autocast(batch.pictures.device.type, torch.bfloat16, enabled=half):
        seen = model.correlate(batch.pictures) if only_correlation else model(batch.pictures)
    if isinstance(seen, Matches):
        return _correlation_loss(seen, batch, model.config)
    return encoder_loss(seen, batch, model.config, training)


def _fill_gradients(model: CorrelationEncoder) -> None:
    """Weights that a step did not use stand still, and have moments to save like all others."""
    for parameter in model.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)


@torch.no_grad()
def measure_scene_encoder(model: CorrelationEncoder, batches: list[SetPictures]) -> EncoderFigures:
    """Figures over sets that the encoder was not trained on."""
    errors_deg, plain_errors_deg, depth_errors = [], [], []
    for batch in batches:
        sight = model(model.config.resized(batch.pictures))
        truth = batch.R_start_picture
        errors_deg.append(_angles_deg(sight.R_start_picture, truth)[:, 1:].flatten())
        plain = model.correlated_rotations(sight.matches, truth.shape[1])
        plain_errors_deg.append(_angles_deg(plain, truth)[:, 1:].flatten())
        depth_m = _resized_depth(batch.depth_m, model.config.size_px)
        near = depth_m < DEEPEST_M
        depth_errors.append(((sight.depth_m - depth_m).abs() / depth_m)[near])
    errors, plain = torch.cat(errors_deg), torch.cat(plain_errors_deg)
    return EncoderFigures(
        depth_abs_rel=float(torch.cat(depth_errors).mean()),
        rotation_mean_deg=float(errors.mean()),
        rotation_median_deg=float(errors.median()),
        rotation_within_10_deg=float((errors < 10).float().mean()),
        rotation_correlation_mean_deg=float(plain.mean()),
        pictures=len(errors),
    )


def _seen_anew(batch: SetPictures, config: EncoderConfig, chance: torch.Generator) -> SetPictures:
    """The pictures of each set in a new order, the first of which is the world; half of the sets are mirrored.

    All pictures stand in one place, so any of them may be the first.
    """
    sets, count = batch.pictures.shape[:2]
    order = torch.rand((sets, count), generator=chance).argsort(1)
    which = torch.arange(sets)[:, None]
    pictures = config.resized(batch.pictures[which, order])
    depth_m = _resized_depth(batch.depth_m[which, order], config.size_px)
    R = batch.R_start_picture[which, order]
    R_start_picture = R[:, :1].mT @ R
    mirrored = (torch.rand(sets, generator=chance) < 0.5)[:, None, None, None]
    flip = torch.tensor([-1.0, 1.0, 1.0])
    return SetPictures(
        torch.where(mirrored[..., None], pictures.flip(-1), pictures),
        torch.where(mirrored, depth_m.flip(-1), depth_m),
        torch.where(mirrored, flip[:, None] * R_start_picture * flip, R_start_picture),
    )


def _resized_depth(
    depth_m: Float[Tensor, "batch picture height width"], size_px: int
) -> Float[Tensor, "batch picture size size"]:
    """Depth at the encoder's size, without blending what is near with what is far."""
    if depth_m.shape[-1] == size_px:
        return depth_m
    return F.interpolate(depth_m, size=(size_px, size_px), mode="nearest-exact")


def _angles_deg(R: Float[Tensor, "*batch 3 3"], truth: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch"]:
    chord = (R - truth).square().sum((-2, -1)).sqrt() / (2 * math.sqrt(2))
    return torch.rad2deg(2 * torch.asin(chord.clamp(max=1)))


def _save(run: Path, step: int, model: CorrelationEncoder, learner: Learner, facts: dict[str, Any]) -> None:
    def save(folder: Path) -> None:
        with learner.averaged():
            save_correlation_encoder(folder / "encoder.safetensors", model)

    write_resumable(run, step, save, learner.state(), facts)


def held_out_figures(model: CorrelationEncoder) -> dict[str, EncoderFigures]:
    """Figures on sets that no training sees, by how their pictures stand."""
    sources = {
        "jittered ring of 6": LookingAround(split="held_out", counts=(6,), even_share=0.0, random_share=0.0),
        "random yaws, 6": LookingAround(split="held_out", counts=(6,), even_share=0.0, random_share=1.0),
        "even ring of 6": LookingAround(split="held_out", counts=(6,), even_share=1.0, random_share=0.0),
        "even ring of 8": LookingAround(split="held_out", counts=(8,), even_share=1.0, random_share=0.0),
    }
    batches = range(HELD_OUT_BATCHES)
    return {
        name: measure_scene_encoder(model, [source(number, HELD_OUT_BATCH) for number in batches])
        for name, source in sources.items()
    }


def main() -> None:
    """Train the small encoder on our own endless sets, measure it on held-out ones, and write it with its figures."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("run", type=Path, help="folder of checkpoints; a run that was cut off goes on")
    parser.add_argument("--out", type=Path, required=True, help="of the encoder (.safetensors); figures beside it")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so long; start again to go on")
    options = parser.parse_args()
    training = EncoderTraining()
    used_s = time.process_time()
    model, losses = train_scene_encoder(
        options.run, LookingAround(), EncoderConfig(), training, 60 * options.minutes, _print_progress
    )
    used_s = time.process_time() - used_s
    save_correlation_encoder(options.out, model)
    document = {
        "encoder": asdict(model.config),
        "training": asdict(training),
        "command": f"python -m understudy.videogen.training.train_scene_encoder RUN --out {options.out.name}",
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "steps_of_last_call": len(losses),
        "cpu_s_of_last_call": round(used_s),
        "figures": {name: asdict(figures) for name, figures in held_out_figures(model).items()},
    }
    replace_text(options.out.with_suffix(".json"), json.dumps(document, indent=1) + "\n")
    print(json.dumps(document["figures"], indent=1))


def _print_progress(done: int, total: int) -> None:
    if done % 25 == 0:
        print(f"{done} of {total}", flush=True)


if __name__ == "__main__":
    main()
