"""Robust losses: what a squared residual costs, and by how much it still counts.

Iteratively reweighted least squares: the gradient of ρ(s) is that of the residual weighed by ρ′(s), and the curvature
of ρ itself is left out, which for losses that flatten keeps the normal matrix positive definite.
Source: Triggs et al. 2000, Bundle Adjustment – A Modern Synthesis, section 4.3.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

__all__ = ["SQUARE", "Loss", "cauchy", "pseudo_huber"]


@dataclass(frozen=True)
class Loss:
    """ρ(s) of a squared residual s; near zero all losses are s itself."""

    kind: Literal["square", "cauchy", "pseudo_huber"]
    scale: float = 1.0
    """The residual (not squared) from which on the loss flattens."""

    def weighed(self, squared: Float[np.ndarray, "..."]) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """The loss ρ(s) and the weight ρ′(s) of squared residuals."""
        if self.kind == "square":
            return squared, np.ones_like(squared)
        share = squared / self.scale**2
        if self.kind == "cauchy":
            return self.scale**2 * np.log1p(share), 1.0 / (1.0 + share)
        root = np.sqrt(1.0 + share)
        return 2.0 * self.scale**2 * (root - 1.0), 1.0 / root


SQUARE = Loss("square")
"""Every residual counts in full: errors are normally distributed."""


def cauchy(scale: float) -> Loss:
    """ρ(s) = k² log(1 + s / k²): outliers hardly count (weight ½ at a residual of k). Black and Anandan 1996."""
    return Loss("cauchy", scale)


def pseudo_huber(scale: float) -> Loss:
    """ρ(s) = 2 k² (√(1 + s / k²) − 1): far out, 2 k times the residual. Hartley and Zisserman, section A6.8."""
    return Loss("pseudo_huber", scale)
