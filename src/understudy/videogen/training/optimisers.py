"""What moves the weights: Muon for the blocks' matrices, AdamW for everything else."""

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

__all__ = ["build_optimisers", "learning_rate_share", "set_learning_rates"]

ADAMW_BETAS = (0.9, 0.99)
MUON_WEIGHT_DECAY = 0.01


def build_optimisers(model: nn.Module, muon_rate: float, adamw_rate: float) -> list[Optimizer]:
    """Muon over the matrices of the blocks and AdamW over the rest; their rates are those of full speed.

    Source: Jordan et al. 2024, Muon: an optimizer for hidden layers in neural networks.
    """
    matrices, rest = [], []
    for name, parameter in model.named_parameters():
        within_block = "blocks." in name and name.endswith(".weight") and parameter.ndim == 2
        (matrices if within_block else rest).append(parameter)
    optimisers = [
        Muon(matrices, lr=muon_rate, weight_decay=MUON_WEIGHT_DECAY, momentum=0.95),
        AdamW(rest, lr=adamw_rate, betas=ADAMW_BETAS, weight_decay=0.0, fused=_fused(rest)),
    ]
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["full_rate"] = group["lr"]
    return optimisers


def _fused(parameters: list[torch.nn.Parameter]) -> bool:
    """One kernel for all parameters, where they are whole tensors."""
    return all(type(parameter.data) is torch.Tensor for parameter in parameters)


def learning_rate_share(step: int, steps: int, warm_up_steps: int, decay_share: float) -> float:
    """Share of the full rate at a step: a linear rise, a plateau, and a linear fall to zero over the last share."""
    rise = (step + 1) / max(warm_up_steps, 1)
    fall = (steps - step) / max(decay_share * steps, 1)
    return max(0.0, min(1.0, rise, fall))


def set_learning_rates(optimisers: list[Optimizer], share: float) -> None:
    """Every group at its share of the full rate."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = share * group["full_rate"]
