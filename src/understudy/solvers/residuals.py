"""The three kinds of residuals: along time, of points seen by frames, and of what all frames share.

Each holds its values at the present state and their derivatives by named blocks of unknowns. The parts of one row (the
two coordinates of a pixel, say) are weighed together by a robust loss.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from understudy.solvers.losses import SQUARE, Loss

__all__ = ["Derivatives", "FrameResiduals", "PointResiduals", "Residuals", "SharedResiduals", "VisibilityGraph"]

Derivatives = Mapping[str, Float[np.ndarray, "..."]]
"""By the name of a block; the last axis has the block's size, the axes before it are those of the residuals."""
_POINTS_TOGETHER = 160
"""How many neighbouring points are eliminated in one matrix product: enough for BLAS to be quick, few enough for them
to be seen by few of a long shot's frames."""


@dataclass(frozen=True)
class FrameResiduals:
    """Residuals Σₖ factors[k] · value[t + k] of every window of frames t … t + len(factors) − 1.

    With one factor they are residuals of single frames; (−1, 1) makes them speeds, (1, −2, 1) accelerations.
    """

    value: Float[np.ndarray, "time row part"]
    derivatives: Derivatives
    """Of `value`: "time row part size"."""
    weight: Float[np.ndarray, "window row"]
    loss: Loss = SQUARE
    factors: tuple[float, ...] = (1.0,)

    @property
    def windows(self) -> int:
        """How many windows of frames there are; none in a clip that is too short."""
        return max(len(self.value) - len(self.factors) + 1, 0)

    def differences(self, values: Float[np.ndarray, "time ..."]) -> Float[np.ndarray, "window ..."]:
        """Σₖ factors[k] · values[t + k]."""
        first, *others = [factor * values[k : k + self.windows] for k, factor in enumerate(self.factors)]
        return sum(others, first)

    def weighed(self) -> tuple[Float[np.ndarray, "window row part"], Float[np.ndarray, "window row"], float]:
        """Residuals, their robust weights, and what they cost."""
        residual = self.differences(self.value)
        loss, weight = self.loss.weighed((residual**2).sum(-1))
        return residual, self.weight * weight, float((self.weight * loss).sum())

    @property
    def cost(self) -> float:
        """The robust cost."""
        return self.weighed()[2]


@dataclass(frozen=True)
class SharedResiduals:
    """Residuals of what all frames share: priors."""

    value: Float[np.ndarray, " row"]
    derivatives: Derivatives
    """Of `value`: "row size"."""

    @property
    def cost(self) -> float:
        """The sum of squares."""
        return float(self.value @ self.value)


@dataclass(frozen=True)
class VisibilityGraph:
    """Which frames see which points; sorted by point."""

    frame: Int[np.ndarray, " sighting"]
    point: Int[np.ndarray, " sighting"]

    def __post_init__(self) -> None:
        if (np.diff(self.point) < 0).any():
            raise ValueError("sightings have to be sorted by point")

    def runs(self) -> list[tuple[slice, slice, slice]]:
        """Runs of neighbouring points: their sightings, the points, and the frames that see them."""
        if not len(self.point):
            return []
        points = range(0, int(self.point[-1]) + 1, _POINTS_TOGETHER)
        starts = [*np.searchsorted(self.point, points).tolist(), len(self.point)]
        return [
            (
                slice(a, b),
                slice(int(self.point[a]), int(self.point[b - 1]) + 1),
                slice(int(self.frame[a:b].min()), int(self.frame[a:b].max()) + 1),
            )
            for a, b in pairwise(starts)
            if b > a
        ]

    @property
    def reach(self) -> int:
        """How many frames at most lie between two that are coupled by a run of points."""
        return max((frames.stop - frames.start - 1 for _, _, frames in self.runs()), default=0)


@dataclass(frozen=True)
class PointResiduals:
    """Residuals of points, each seen by a frame."""

    visible: VisibilityGraph
    value: Float[np.ndarray, "sighting part"]
    derivatives: Derivatives
    """Of `value`: "sighting part size"; by one eliminated block among others."""
    loss: Loss = SQUARE

    def weighed(self) -> tuple[Float[np.ndarray, " sighting"], float]:
        """Robust weights, and the cost."""
        loss, weight = self.loss.weighed((self.value**2).sum(-1))
        return weight, float(loss.sum())

    @property
    def cost(self) -> float:
        """The robust cost."""
        return self.weighed()[1]


Residuals = FrameResiduals | SharedResiduals | PointResiduals
