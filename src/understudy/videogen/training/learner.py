"""What learns: a model, its optimisers and the moving average of its weights, as one that can be saved and restored.

Works alike for whole weights, for copies on many devices and for sharded weights (FSDP2). Frozen weights are no part
of it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.optim import Optimizer

from understudy.runtime.errors import InputError
from understudy.videogen.transformer.checkpoints import latest_checkpoint, read_training_facts, read_training_state

__all__ = ["ON_ALL", "ON_FIRST", "Learner", "averaged_weights", "resume"]

ON_FIRST = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
"""Gathered whole on the first process alone, to be written."""
ON_ALL = StateDictOptions(full_state_dict=True, ignore_frozen_params=True, strict=False)
"""Whole on every process, to be taken apart again. Not strict, because frozen weights are missing in it."""
MODEL, AVERAGE, MOMENT = "model.", "average.", "moment."
NEWER_FACTS = ("geometry", "data")
"""Checkpoints from before these were written lack them, and may go on."""


@dataclass(frozen=True)
class Learner:
    """A model in training."""

    model: nn.Module
    optimisers: list[Optimizer]
    average: dict[str, Tensor]
    """Of every trained weight over the last steps: sharper samples than the weights themselves."""

    @staticmethod
    def begin(model: nn.Module, optimisers: list[Optimizer]) -> "Learner":
        """The learner before its first step."""
        trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        average = {name: parameter.detach().clone() for name, parameter in trained.items()}
        return Learner(model, optimisers, average)

    def step(self, decay: float) -> None:
        """Move the weights by their gradients, forget those, and let the average follow."""
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad()
        parameters = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, mean in self.average.items():
                mean.lerp_(parameters[name], 1 - decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The model with its averaged weights, for a while."""
        parameters = dict(self.model.named_parameters())
        kept = {name: parameters[name].detach().clone() for name in self.average}
        try:
            self._put(self.average)
            yield
        finally:
            self._put(kept)

    def _put(self, weights: Mapping[str, Tensor]) -> None:
        parameters = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, tensor in weights.items():
                parameters[name].copy_(tensor)

    def state(self, where: StateDictOptions = ON_FIRST) -> dict[str, Tensor]:
        """Everything that training goes on from, whole, by name."""
        # Copies: on a CPU, what is gathered is the weights themselves, and they change for a while below.
        # PyTorch types the states as anything that may be saved; here they are tensors.
        weights: dict[str, Any] = get_model_state_dict(self.model, options=where)
        state: dict[str, Tensor] = {MODEL + name: tensor.clone() for name, tensor in weights.items()}
        with self.averaged():
            weights = get_model_state_dict(self.model, options=where)
            state |= {AVERAGE + name: tensor.clone() for name, tensor in weights.items()}
        optimisers: dict[str, Any] = get_optimizer_state_dict(self.model, self._bare(), options=where)
        moments: dict[str, dict[str, Tensor]] = optimisers.get("state", {})
        return state | {
            f"{MOMENT}{name}/{key}": value for name, entry in moments.items() for key, value in entry.items()
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take over a state; every process is given it whole."""
        set_model_state_dict(self.model, dict(averaged_weights(state)), options=ON_ALL)
        parameters = dict(self.model.named_parameters())
        with torch.no_grad():
            for name, mean in self.average.items():
                mean.copy_(parameters[name])
        set_model_state_dict(self.model, dict(_part(state, MODEL)), options=ON_ALL)
        moments: dict[str, Any] = get_optimizer_state_dict(self.model, self._bare(), options=ON_ALL)
        for key, tensor in _part(state, MOMENT).items():
            name, _, kind = key.rpartition("/")
            moments["state"][name][kind] = tensor
        set_optimizer_state_dict(self.model, self._bare(), moments, options=ON_ALL)

    def _bare(self) -> list[Optimizer]:
        """The optimisers without what `accelerate` wraps them in."""
        return [getattr(optimiser, "optimizer", optimiser) for optimiser in self.optimisers]


def resume(run: Path, learner: Learner, facts: Mapping[str, Any]) -> int:
    """Restore the last checkpoint of a run; the step it was written after, 0 without one.

    Raises:
        InputError: it was written with other facts.
        FileFormatError: it is damaged.
    """
    folder = latest_checkpoint(run)
    if folder is None:
        return 0
    found = read_training_facts(folder)
    for name, value in facts.items():
        if name in NEWER_FACTS and name not in found:
            continue
        if found.get(name) != _as_json(value):
            raise InputError(
                f"{run} was begun with other settings ({name}); name another folder, or train on with the settings of"
                " before"
            )
    shapes = {name: tuple(tensor.shape) for name, tensor in learner.state(ON_ALL).items()}
    learner.restore(read_training_state(folder, shapes))
    return int(found["step"])


def averaged_weights(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The averaged weights of a learner's state, by their names in the model."""
    return _part(state, AVERAGE)


def _part(state: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    return {name.removeprefix(kind): tensor for name, tensor in state.items() if name.startswith(kind)}


def _as_json(value: Any) -> Any:
    """A value as it comes back from a JSON file: tuples are lists."""
    if isinstance(value, dict):
        return {key: _as_json(entry) for key, entry in value.items()}
    return [_as_json(entry) for entry in value] if isinstance(value, (list, tuple)) else value
