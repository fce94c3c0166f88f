"""Gauss–Newton's normal equations of unknowns in a row in time, where some are one value for all frames."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.linalg import cho_factor, cho_solve, solveh_banded

__all__ = ["NormalEquations"]


@dataclass
class NormalEquations:
    """H x = −g in blocks of one frame's unknowns: H's diagonal and its first and second neighbours."""

    diagonal: Float[np.ndarray, "time n n"]
    next: Float[np.ndarray, "time_1 n n"]
    """Rows of frame t, columns of frame t + 1."""
    after_next: Float[np.ndarray, "time_2 n n"]
    """Rows of frame t, columns of frame t + 2."""
    gradient: Float[np.ndarray, "time n"]

    @staticmethod
    def zeros(time: int, n: int) -> "NormalEquations":
        """No equation yet."""
        return NormalEquations(
            np.zeros((time, n, n)), np.zeros((max(time - 1, 0), n, n)), np.zeros((max(time - 2, 0), n, n)),
            np.zeros((time, n)),
        )  # fmt: skip

    def add_each(self, residual: Float[np.ndarray, "time m"], jacobian: Float[np.ndarray, "time m n"]) -> None:
        """Add half the squared length of a residual of every frame."""
        self.diagonal += np.einsum("tmi,tmj->tij", jacobian, jacobian)
        self.gradient += np.einsum("tmi,tm->ti", jacobian, residual)

    def add_first_differences(
        self,
        residual: Float[np.ndarray, "time_1 m"],
        before: Float[np.ndarray, "time_1 m n"],
        after: Float[np.ndarray, "time_1 m n"],
    ) -> None:
        """Add a residual of neighbouring frames; its derivatives by the earlier and by the later one are given."""
        self.diagonal[:-1] += np.einsum("tmi,tmj->tij", before, before)
        self.diagonal[1:] += np.einsum("tmi,tmj->tij", after, after)
        self.next += np.einsum("tmi,tmj->tij", before, after)
        self.gradient[:-1] += np.einsum("tmi,tm->ti", before, residual)
        self.gradient[1:] += np.einsum("tmi,tm->ti", after, residual)

    def add_second_differences(
        self, residual: Float[np.ndarray, "time_2 m"], jacobian: Float[np.ndarray, "time m n"]
    ) -> None:
        """Add a residual v(t) − 2 v(t + 1) + v(t + 2), where `jacobian` holds the derivatives of v."""
        a, b, c = jacobian[:-2], -2 * jacobian[1:-1], jacobian[2:]
        for part, place in ((a, slice(None, -2)), (b, slice(1, -1)), (c, slice(2, None))):
            self.diagonal[place] += np.einsum("tmi,tmj->tij", part, part)
            self.gradient[place] += np.einsum("tmi,tm->ti", part, residual)
        self.next[:-1] += np.einsum("tmi,tmj->tij", a, b)
        self.next[1:] += np.einsum("tmi,tmj->tij", b, c)
        self.after_next += np.einsum("tmi,tmj->tij", a, c)

    def solve(self, own: list[int], common: list[int], damping: float) -> Float[np.ndarray, "time n"]:
        """The damped step. `own` unknowns are free in every frame, `common` ones equal in all; the others stay.

        The own part is banded, the common part a border to it, removed by its Schur complement.
        Source: Triggs et al. 2000, Bundle Adjustment – A Modern Synthesis, section 6.
        """
        time = len(self.diagonal)
        step = np.zeros(self.gradient.shape)
        rows = self._row_sums()
        corner = rows.sum(0)[np.ix_(common, common)]
        corner += damping * np.diag(np.diag(corner))
        pull = -self.gradient[:, common].sum(0)
        if not own:
            step[:, common] = cho_solve(cho_factor(corner), pull)
            return step
        border = rows[:, own][:, :, common].reshape(time * len(own), len(common))
        right = np.column_stack([-self.gradient[:, own].ravel(), border])
        solved = solveh_banded(self._band(own, damping), right, lower=True, check_finite=False)
        if common:
            schur = corner - border.T @ solved[:, 1:]
            shared = np.linalg.solve(schur, pull - border.T @ solved[:, 0])
            step[:, common] = shared
            solved[:, 0] -= solved[:, 1:] @ shared
        step[:, own] = solved[:, 0].reshape(time, len(own))
        return step

    def _row_sums(self) -> Float[np.ndarray, "time n n"]:
        """Each frame's rows of H, summed over all frames' columns."""
        rows = self.diagonal.copy()
        rows[:-1] += self.next
        rows[1:] += np.swapaxes(self.next, 1, 2)
        if len(self.after_next):
            rows[:-2] += self.after_next
            rows[2:] += np.swapaxes(self.after_next, 1, 2)
        return rows

    def _band(self, own: list[int], damping: float) -> Float[np.ndarray, "band unknown"]:
        """The own part of H as SciPy's lower band, with a damped diagonal."""
        time, n = len(self.diagonal), len(own)
        band = np.zeros((min(3, time) * n, time * n))
        lower = (self.diagonal, np.swapaxes(self.next, 1, 2), np.swapaxes(self.after_next, 1, 2))
        for apart, blocks in enumerate(lower):
            if not len(blocks):
                continue
            for i in range(n):
                for j in range(n):
                    offset = apart * n + i - j
                    if offset >= 0:
                        band[offset, j : (time - apart) * n : n] = blocks[:, own[i], own[j]]
        band[0] *= 1 + damping
        return band
