"""What an evaluation has measured so far, film by film on disk, so that one that was cut off goes on."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from understudy import __version__
from understudy.io.arrays import read_arrays, write_arrays
from understudy.io.files import reading
from understudy.runtime.errors import FileFormatError
from understudy.videogen.evaluation.contestants import ClipMaker, TrainedModel
from understudy.videogen.evaluation.evaluate import CameraFigures, ClipFigures, EvaluatedClips, SubjectFigures

__all__ = ["MeasuredFilms"]

KIND = "understudy measured film"


class MeasuredFilms:
    """One file for each film, under a name that changes with all that its figures depend on.

    `settings` are what all films have in common; their text tells them apart. The weights of scene encoders belong to
    our version. Figures come from disk in unbroken runs too, so that both give the same.
    """

    def __init__(self, folder: Path, settings: Mapping[str, object]) -> None:
        self.folder = folder
        self.settings = dict(settings)
        folder.mkdir(exist_ok=True)

    def figures(
        self, name: str, maker: ClipMaker, measure: Callable[[], tuple[ClipFigures, EvaluatedClips]]
    ) -> tuple[ClipFigures, EvaluatedClips]:
        """A film's figures on one move and clips to look at; `name` says which of both."""

        def arrays() -> dict[str, np.ndarray]:
            figures, clips = measure()
            return _to_arrays(figures) | {"clips.words": np.array(clips.words), "clips.frames": clips.frames}

        found = self._once(name, maker, arrays)
        with reading(self.folder, "folder of measured films", advice="delete it"):
            return _from_arrays(found), EvaluatedClips(found["clips.words"].tolist(), found["clips.frames"])

    def psnr_db(
        self, name: str, maker: ClipMaker, measure: Callable[[], Float[np.ndarray, "clip frame"]]
    ) -> Float[np.ndarray, "clip frame"]:
        """PSNR of the background alone."""
        return self._once(name, maker, lambda: {"psnr_db": measure()})["psnr_db"]

    def forget(self) -> None:
        """Remove the files, once the evaluation is whole."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _once(self, name: str, maker: ClipMaker, measure: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        description = json.dumps([__version__, name, _weights_hash(maker), self.settings], default=str)
        path = self.folder / f"{hashlib.sha256(description.encode()).hexdigest()[:16]}.npz"
        try:
            return read_arrays(path, KIND)
        except FileFormatError:
            write_arrays(path, KIND, measure())
        return read_arrays(path, KIND)


def _weights_hash(maker: ClipMaker) -> str:
    """Of a model: two trainings may lie under one name."""
    if not isinstance(maker, TrainedModel):
        return ""
    digest = hashlib.sha256(repr((maker.saved.model.config, maker.saved.geometry)).encode())
    for tensor in maker.saved.model.state_dict().values():
        digest.update(tensor.cpu().numpy().tobytes())
    return digest.hexdigest()


def _to_arrays(figures: ClipFigures) -> dict[str, np.ndarray]:
    """By the names of the fields; of a part, after its name and a dot; without what was not measured."""
    arrays = {}
    for name, value in vars(figures).items():
        if is_dataclass(value):
            arrays |= {f"{name}.{part}": array for part, array in vars(value).items()}
        elif value is not None:
            arrays[name] = value
    return arrays


def _from_arrays(arrays: Mapping[str, np.ndarray]) -> ClipFigures:
    values: dict[str, Any] = {field.name: arrays.get(field.name) for field in fields(ClipFigures)}
    for name, kind in (("camera", CameraFigures), ("subject", SubjectFigures)):
        part: dict[str, Any] = {field.name: arrays.get(f"{name}.{field.name}") for field in fields(kind)}
        values[name] = None if part[fields(kind)[0].name] is None else kind(**part)
    return ClipFigures(**values)
