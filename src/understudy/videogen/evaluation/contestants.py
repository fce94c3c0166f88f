"""What can be evaluated: trained models, the truth itself, and baselines that need no network."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from understudy.runtime.errors import InputError
from understudy.synthetic.worlds.clip_batch import ClipBatch
from understudy.videogen.encoders.point_cloud import render_point_cloud
from understudy.videogen.encoders.scene_encoder import geometry_source
from understudy.videogen.sample import Sampling, sample_clips
from understudy.videogen.training.feed import prepared
from understudy.videogen.transformer.checkpoints import SavedModel, latest_checkpoint, load_model
from understudy.videogen.transformer.conditioning import GeometrySource
from understudy.videogen.transformer.rays import centres

__all__ = [
    "REFERENCES",
    "BestContextCrop",
    "ClipMaker",
    "Clips",
    "CopyFirstCrop",
    "PointCloud",
    "Reordered",
    "TrainedModel",
    "TrueClips",
    "covered",
    "find_models",
    "reordered",
]

FILL_ROUNDS = 64
"""How many pixels far a hole in a point cloud is filled from its edge."""

Clips = Float[Tensor, "batch frame 3 height width"]


@runtime_checkable
class ClipMaker(Protocol):
    """Makes clips of what a batch describes."""

    def __call__(self, batch: ClipBatch, seed: int) -> Clips:
        """Clips along the batch's paths, sRGB, −1 … 1; the same seed uses the same noise."""
        ...


@dataclass(frozen=True)
class TrainedModel:
    """A video model as trained, with what it is told."""

    saved: SavedModel
    geometry: GeometrySource | None
    sampling: Sampling = field(default_factory=Sampling)

    def __call__(self, batch: ClipBatch, seed: int) -> Clips:
        """Sampled clips, on the batch's device wherever the model is."""
        model = self.saved.model
        conditions = prepared(batch.to(next(model.parameters()).device), model.config, self.geometry).conditions
        return sample_clips(model, conditions, seed, self.sampling).clamp(-1, 1).to(batch.video.device)


@dataclass(frozen=True)
class TrueClips:
    """The clips as they are: every measure of them must be perfect, or it does not measure."""

    def __call__(self, batch: ClipBatch, seed: int) -> Clips:
        """The batch's own video."""
        return batch.video


@dataclass(frozen=True)
class CopyFirstCrop:
    """The start view, cut to the clip's field of view, in every frame."""

    def __call__(self, batch: ClipBatch, seed: int) -> Clips:
        """Still clips."""
        return _cut(batch)[:, :1].expand_as(batch.video)


@dataclass(frozen=True)
class BestContextCrop:
    """For every frame the picture of the set that is nearest to the truth, outside the subject: it knows the answer."""

    def __call__(self, batch: ClipBatch, seed: int) -> Clips:
        """Clips cut together from pictures of the set."""
        cuts = _cut(batch)
        outside = (batch.mask == 0)[:, :, None, None]
        error = ((cuts[:, None] - batch.empty[:, :, None]).square() * outside).mean((3, 4, 5))
        clip = torch.arange(len(batch), device=cuts.device)[:, None]
        return cuts[clip, error.argmin(2)]


@dataclass(frozen=True)
class PointCloud:
    """Explicit 3D: the pictures' points at their true depth, seen along the path; holes are filled from their edges."""

    def __call__(self, batch: ClipBatch, seed: int) -> Clips:
        """Clips of the empty set."""
        guide = _guide(batch).flatten(0, 1)
        colour, known = guide[:, :3], guide[:, 3:]
        for _ in range(FILL_ROUNDS):
            if known.all():
                break
            share = F.avg_pool2d(known, 3, 1, 1)
            spread = F.avg_pool2d(colour * known, 3, 1, 1) / share.clamp(min=1e-6)
            colour = torch.where(known > 0, colour, spread)
            known = (share > 0).float()
        return (colour * known).unflatten(0, batch.video.shape[:2])


@dataclass(frozen=True)
class Reordered:
    """A film that is given the pictures of the set in another order."""

    film: ClipMaker
    order: tuple[int, ...]

    def __call__(self, batch: ClipBatch, seed: int) -> Clips:
        """The film's clips."""
        parts = {name: getattr(batch, name)[:, self.order] for name in ("context", "context_depth_m", "T_start_crop")}
        return self.film(replace(batch, **parts), seed)


def reordered(film: ClipMaker, pictures: int) -> dict[str, ClipMaker]:
    """A film given pictures of the set, which stand evenly around, as they were not meant to be given."""
    every_other = (0, *range(2, pictures, 2), *range(1, pictures, 2))
    return {
        "in another order": Reordered(film, every_other),
        "the first picture is not the start view": Reordered(film, (*range(1, pictures), 0)),
    }


REFERENCES: dict[str, ClipMaker] = {
    "truth": TrueClips(),
    "copy of the first crop": CopyFirstCrop(),
    "best context crop": BestContextCrop(),
    "point cloud, true depth": PointCloud(),
}
"""What stands beside the models in every table."""


def covered(batch: ClipBatch) -> Bool[Tensor, "batch frame height width"]:
    """Which pixels some point of the context reaches, or lies right beside: points leave gaps between them."""
    hits = _guide(batch)[:, :, 3]
    return F.max_pool2d(hits, 3, 1, 1) > 0


def find_models(
    run: Path, device: torch.device | str = "cpu", sampling: Sampling | None = None
) -> dict[str, TrainedModel]:
    """The models of a run: that of the folder itself, and each variant in a sub-folder, by the sub-folder's name.

    A folder holds a model (`model.json`), or a training's checkpoints, of which the last is taken. The run's own model
    comes first and is called "default", unless a sub-folder is.

    Raises:
        InputError: there is no model in the folder or below it.
        FileFormatError: a model cannot be read.
        BackendUnavailable: the weights of the scene encoder it was trained with are not there.
    """
    folders = {"": run} | {folder.name: folder for folder in sorted(run.glob("*")) if folder.is_dir()}
    models: dict[str, TrainedModel] = {}
    for name, folder in folders.items():
        if name.startswith((".", "step_")):
            continue
        checkpoint = folder if (folder / "model.json").is_file() else latest_checkpoint(folder)
        if checkpoint is None:
            continue
        saved = load_model(checkpoint, device)
        source = geometry_source(saved.geometry, device) if saved.model.config.geometry != "none" else None
        models[name or "default"] = TrainedModel(saved, source, sampling or Sampling())
    if not models:
        raise InputError(f"there is no trained model in {run}: name the folder of a training, or train one first")
    first = {"default": models["default"]} if "default" in models else {}
    return first | models


def _guide(batch: ClipBatch) -> Float[Tensor, "batch frame 4 height width"]:
    return render_point_cloud(
        batch.context, batch.context_depth_m, batch.T_start_crop, batch.K_crop, batch.T_start_camera, batch.K,
        *batch.video.shape[-2:],
    )  # fmt: skip


def _cut(batch: ClipBatch) -> Float[Tensor, "batch crop 3 height width"]:
    """The set's pictures as the clip's own lens would have taken them from the same place."""
    height, width = batch.video.shape[-2:]
    size = batch.context.shape[-1]
    there = centres(height, width, batch.K) @ (batch.K_crop @ torch.linalg.inv(batch.K)).mT
    place = (there[..., :2] / size * 2 - 1).unflatten(1, (height, width))
    crops = batch.context.shape[1]
    cut = F.grid_sample(
        batch.context.flatten(0, 1), place.repeat_interleave(crops, 0), "bilinear", "border", align_corners=False
    )
    return cut.unflatten(0, (len(batch), crops))
