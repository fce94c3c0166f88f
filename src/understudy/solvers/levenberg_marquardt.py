"""Levenberg–Marquardt over named blocks of unknowns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from scipy.linalg import LinAlgError

from understudy.runtime.progress import Progress, silent
from understudy.solvers.banded import damped_step
from understudy.solvers.normal_equations import normal_equations
from understudy.solvers.residuals import Residuals
from understudy.solvers.unknowns import Step, Unknowns

__all__ = ["LevenbergMarquardt", "Minimum", "minimise"]

State = TypeVar("State")

_MIN_DAMPING = 1e-9
"""As a share of the diagonal: less would not be felt beside rounding errors of the factor."""
_MAX_DAMPING = 1e9
"""Steps are a billionth of the diagonal's by then: no smaller one will lower the cost."""
_ROUNDING_COST = 1e-16
"""A sum of squares below this is rounding: residuals are of the order of one where something is wrong."""
_MAX_EASING = 1.0 / 3.0
"""Damping falls to no less than this share at a time."""


@dataclass(frozen=True)
class LevenbergMarquardt:
    """When to stop, and how carefully to begin."""

    max_steps: int
    """How many steps are tried."""
    tolerance: float
    """The search ends when a step lowers the cost by less than this share of it."""
    damping: float = 1e-3
    """At first, as a share of the normal matrix's diagonal; less where the first state is a good one."""


@dataclass(frozen=True)
class Minimum(Generic[State]):
    """Where a search ended."""

    state: State
    cost: float
    steps: int
    """How many were tried."""


def minimise(
    unknowns: Unknowns,
    state: State,
    residuals: Callable[[State], Sequence[Residuals]],
    moved: Callable[[State, Step], State],
    rule: LevenbergMarquardt,
    progress: Progress = silent,
) -> Minimum[State]:
    """Steps downhill from a state.

    A step that lowers the cost is taken. Damping then falls, the more the better the quadratic model foretold the gain;
    a step that does not is tried anew with more of it, and ever more.
    Source: Madsen, Nielsen and Tingleff 2004, Methods for Non-Linear Least Squares Problems, section 3.2; Marquardt
    1963 for damping by the diagonal, which makes it the same in any units.

    Args:
        residuals: with their derivatives, at a state.
        moved: a state after a step.
    """
    terms = residuals(state)
    cost = sum(term.cost for term in terms)
    equations = normal_equations(unknowns, terms)
    damping, raised = rule.damping, 2.0
    tried = 0
    while tried < rule.max_steps and cost > _ROUNDING_COST:
        tried += 1
        try:
            step, foretold = damped_step(equations, damping)
            candidate = moved(state, step)
            terms = residuals(candidate)
            candidate_cost = sum(term.cost for term in terms)
        except LinAlgError:
            candidate_cost = cost
        progress(tried, rule.max_steps)
        gain = cost - candidate_cost
        if not gain > 0.0:
            damping, raised = damping * raised, raised * 2.0
            if damping > _MAX_DAMPING:
                break
            continue
        settled = gain < rule.tolerance * cost
        state, cost = candidate, candidate_cost
        if settled or tried == rule.max_steps:
            break
        equations = normal_equations(unknowns, terms)
        damping = max(damping * max(_MAX_EASING, 1.0 - (2.0 * gain / foretold - 1.0) ** 3), _MIN_DAMPING)
        raised = 2.0
    return Minimum(state, cost, tried)
