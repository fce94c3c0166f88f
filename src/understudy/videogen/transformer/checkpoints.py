"""Video models on disk: safetensors and JSON, never pickled; every file checked before memory is taken for it.

A model is a folder of `model.json` (its configuration) and `model.safetensors`. A checkpoint of a training run is such
a folder (the averaged weights) with `training.safetensors` and `training.json`, from which training goes on exactly.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from understudy.io.files import check_file, reading
from understudy.io.temporary import whole_file
from understudy.io.text import read_json, replace_text
from understudy.runtime.budget import Budget
from understudy.runtime.errors import FileFormatError, quoted
from understudy.videogen.transformer.conditioning import GeometryPart
from understudy.videogen.transformer.model import ModelConfig, VideoTransformer
from understudy.videogen.transformer.text_encoder import Vocabulary

__all__ = [
    "WAN_JSON",
    "GeometryOrigin",
    "SavedModel",
    "latest_checkpoint",
    "load_model",
    "read_document",
    "read_tensors",
    "read_training_facts",
    "read_training_state",
    "save_model",
    "write_checkpoint",
    "write_document",
    "write_resumable",
    "write_tensors",
]

FORMAT = "understudy video model 1"
TRAINING_FORMAT = "understudy training 1"
MODEL_JSON, MODEL_WEIGHTS = "model.json", "model.safetensors"
WAN_JSON = "wan.json"
"""Stands in place of model.json where a folder holds trained weights for Wan."""
TRAINING_JSON, TRAINING_STATE = "training.json", "training.safetensors"
MAX_JSON_BYTES = 8 << 20
MAX_CONFIG_NUMBER = 1 << 16
MAX_LAYERS = 256
MAX_PICTURES = 1 << 10
MAX_CLIP_BYTES = 256 << 20
MAX_WEIGHTS_BYTES = 64 << 30
MAX_TOKENS = 1 << 16
OLDER = {"nearness": False}
"""What models were whose files do not say it."""
KEPT_CHECKPOINTS = 2


@dataclass(frozen=True)
class GeometryOrigin:
    """Where the geometry that a model was trained with came from."""

    source: str
    """A name of `scene_encoder.SCENE_ENCODERS`, or "oracle": the truth."""
    part: GeometryPart = "whole"


@dataclass(frozen=True)
class SavedModel:
    """A model as read from disk."""

    model: VideoTransformer
    geometry: GeometryOrigin
    step: int
    """Of its training."""
    pictures: int | None = None
    """Of every set of its training; None where the file is too old to say."""


def save_model(
    folder: Path,
    config: ModelConfig,
    weights: Mapping[str, Tensor],
    step: int,
    geometry: GeometryOrigin,
    dtype: torch.dtype = torch.float32,
    pictures: int | None = None,
) -> None:
    """Write a model; bfloat16 halves the file at no visible loss. An existing folder's files are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / MODEL_WEIGHTS, {name: tensor.to(dtype) for name, tensor in weights.items()})
    document = {"format": FORMAT, "step": step, "geometry": asdict(geometry), "model": asdict(config)}
    document |= {} if pictures is None else {"pictures": pictures}
    write_document(folder / MODEL_JSON, document)


def load_model(folder: Path, device: torch.device | str = "cpu") -> SavedModel:
    """Read a model, in float32 and ready to sample.

    Raises:
        FileFormatError: a file is absent, damaged or of another kind, or the weights are not the configuration's.
    """
    document = read_document(folder / MODEL_JSON, FORMAT)
    with reading(folder / MODEL_JSON, "video model of ours"):
        config = _config_from(document["model"])
        _check_size(config, document.get("pictures"), folder / MODEL_JSON)
        step, geometry = int(document["step"]), GeometryOrigin(**document["geometry"])
        pictures = document.get("pictures")
        if pictures is not None and pictures not in range(1, MAX_PICTURES + 1):
            raise ValueError(f"{pictures} pictures of a set; expected 1 to {MAX_PICTURES}")
        with torch.device("meta"):
            model = VideoTransformer(config)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    weights = read_tensors(folder / MODEL_WEIGHTS, shapes)
    # Copies: tensors of a file lie unaligned in memory, where products round otherwise.
    model.load_state_dict({name: tensor.float().clone() for name, tensor in weights.items()}, assign=True)
    return SavedModel(model.to(device).eval(), geometry, step, pictures)


def write_checkpoint(
    run: Path,
    step: int,
    config: ModelConfig,
    averaged: Mapping[str, Tensor],
    state: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    geometry: GeometryOrigin,
    pictures: int | None = None,
) -> Path:
    """Write a checkpoint of a model of ours; see `write_resumable`."""

    def save(folder: Path) -> None:
        save_model(folder, config, averaged, step, geometry, pictures=pictures)

    return write_resumable(run, step, save, state, facts)


def write_resumable(
    run: Path, step: int, save: Callable[[Path], None], state: Mapping[str, Tensor], facts: Mapping[str, Any]
) -> Path:
    """Write a checkpoint under a temporary name, rename it, then delete all but the last KEPT_CHECKPOINTS.

    What earlier calls that were cut off left is deleted first.

    `save` writes the model itself into a folder; `state` is everything that training goes on from, `facts` what else it
    must find unchanged (JSON).
    """
    folder, partial = run / f"step_{step:08d}", run / f".step_{step:08d}.partial"
    for cut_off in run.glob(".step_*.partial"):
        shutil.rmtree(cut_off, ignore_errors=True)
    partial.mkdir(parents=True)
    save(partial)
    write_tensors(partial / TRAINING_STATE, state)
    write_document(partial / TRAINING_JSON, {"format": TRAINING_FORMAT, "step": step, **facts})
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    for old in sorted(run.glob("step_????????"))[:-KEPT_CHECKPOINTS]:
        shutil.rmtree(old)
    return folder


def latest_checkpoint(run: Path) -> Path | None:
    """The last checkpoint that was written whole; None when there is none."""
    return max((folder for folder in run.glob("step_????????") if folder.is_dir()), default=None)


def read_training_facts(folder: Path) -> dict[str, Any]:
    """The facts of a checkpoint, as `write_checkpoint` took them, and its step. Raises FileFormatError."""
    facts = read_document(folder / TRAINING_JSON, TRAINING_FORMAT)
    return facts | {"model": OLDER | facts["model"]} if isinstance(facts.get("model"), dict) else facts


def read_training_state(folder: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The state of a checkpoint, as `write_checkpoint` took it. Raises FileFormatError."""
    return read_tensors(folder / TRAINING_STATE, shapes)


def read_tensors(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The tensors of a file, which must be those of `shapes` and no other; shapes are checked before reading.

    Raises:
        FileFormatError: the file is absent or damaged, or a tensor is missing, unknown or of another shape.
    """
    check_file(path, "file of weights", MAX_WEIGHTS_BYTES)
    try:
        with safe_open(path, "pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            if found != dict(shapes):
                wrong = sorted(name for name in found.keys() | shapes.keys() if found.get(name) != shapes.get(name))
                raise FileFormatError(
                    f"{path} holds other weights than expected, first at {wrong[0]!r}: got {found.get(wrong[0])},"
                    f" expected {shapes.get(wrong[0])}; use a checkpoint of this configuration"
                )
            return {name: file.get_tensor(name) for name in shapes}
    except (OSError, SafetensorError) as error:
        raise FileFormatError(f"{path} is no readable file of weights ({error}); copy the checkpoint again") from error


def _config_from(entry: dict[str, Any]) -> ModelConfig:
    entry = OLDER | entry
    vocabulary = dict(entry["vocabulary"])
    words = tuple(str(word) for word in vocabulary.pop("words"))
    numbers = [value for value in (*entry.values(), *vocabulary.values()) if not isinstance(value, (str, bool, dict))]
    if any(not isinstance(number, int) or not 0 <= number <= MAX_CONFIG_NUMBER for number in numbers):
        raise ValueError(f"a number is not whole or not in 0 … {MAX_CONFIG_NUMBER}")
    if entry["layers"] > MAX_LAYERS:
        raise ValueError(f"{entry['layers']} layers; up to {MAX_LAYERS} are read")
    return ModelConfig(**{**entry, "vocabulary": Vocabulary(words, **vocabulary)})


def _check_size(config: ModelConfig, pictures: int | None, path: Path) -> None:
    """Refuse a model whose clip, set or tokens would fill the memory, however small its weights are."""
    pictures = pictures or 1
    Budget(quoted(path), MAX_CLIP_BYTES, advice="use a model of ours").take(
        "a clip", config.frames, config.picture_px, config.picture_px, bytes_each=12
    )
    Budget(quoted(path), MAX_CLIP_BYTES, advice="use a model of ours").take(
        "pictures of a set", pictures, config.set_px, config.set_px, bytes_each=12
    )
    tokens = (config.frames + pictures) * (config.picture_px // config.patch_px) ** 2
    if not config.frames > 0 or not 0 < tokens <= MAX_TOKENS:
        raise ValueError(f"{config.frames} frames and {pictures} pictures of {tokens} patches; up to {MAX_TOKENS}")


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, str] | None = None) -> None:
    """Write tensors as safetensors; `header` is text that goes with them."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with whole_file(path) as partial:
        save_file(plain, partial, None if header is None else dict(header))


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document; its "format" says what it is."""
    replace_text(path, json.dumps(document, indent=1) + "\n")


def read_document(path: Path, kind: str) -> dict[str, Any]:
    """A document whose "format" is `kind`. Raises FileFormatError."""
    document = read_json(path, "checkpoint", MAX_JSON_BYTES)
    if not isinstance(document, dict) or document.get("format") != kind:
        raise FileFormatError(f'{path} is no file of ours: it needs "format": "{kind}"')
    return document
