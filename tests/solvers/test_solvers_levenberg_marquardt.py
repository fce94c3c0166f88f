"""The search: exact on linear problems, steady on curved ones, and it ends."""

import numpy as np
import pytest
from scipy.linalg import LinAlgError

from understudy.solvers import levenberg_marquardt
from understudy.solvers.banded import damped_step
from understudy.solvers.independent import minimise_each
from understudy.solvers.levenberg_marquardt import LevenbergMarquardt, minimise
from understudy.solvers.losses import SQUARE, Loss, cauchy
from understudy.solvers.residuals import FrameResiduals
from understudy.solvers.unknowns import Step, Unknowns

TIME = 6


def line(slope_offset: np.ndarray, loss: Loss, measured: np.ndarray) -> list[FrameResiduals]:
    """Five measurements a frame of a straight line through time."""
    x = np.linspace(-1, 1, 5)
    value = slope_offset[:, :1] * x + slope_offset[:, 1:] - measured
    by = np.broadcast_to(np.stack([x, np.ones(5)], -1)[None, :, None], (len(measured), 5, 1, 2)).copy()
    return [FrameResiduals(value[..., None], {"line": by}, np.ones(value.shape), loss)]


def moved(state: np.ndarray, step: Step) -> np.ndarray:
    return state + step["line"]


def test_a_linear_problem_takes_few_steps_and_is_exact() -> None:
    rng = np.random.default_rng(0)
    measured = rng.normal(size=(TIME, 5))
    found = minimise(
        Unknowns(TIME, {"line": 2}),
        np.zeros((TIME, 2)),
        lambda s: line(s, SQUARE, measured),
        moved,
        LevenbergMarquardt(20, 1e-9, damping=1e-6),
    )
    A = np.stack([np.linspace(-1, 1, 5), np.ones(5)], 1)
    assert np.allclose(found.state, np.linalg.lstsq(A, measured.T, rcond=None)[0].T, atol=1e-6)
    assert found.steps <= 3
    assert found.cost == pytest.approx(sum(term.cost for term in line(found.state, SQUARE, measured)))


def test_outliers_do_not_bend_a_robust_fit() -> None:
    measured = np.tile(0.5 * np.linspace(-1, 1, 5) + 2.0, (TIME, 1))
    measured[:, 3] += 50.0
    start = np.tile([0.0, 1.9], (TIME, 1))
    rule = LevenbergMarquardt(60, 1e-12)
    found = minimise(Unknowns(TIME, {"line": 2}), start, lambda s: line(s, cauchy(0.1), measured), moved, rule)
    assert np.allclose(found.state, [0.5, 2.0], atol=2e-3)


def test_a_curved_valley_is_followed_down() -> None:
    """Rosenbrock's function, one in each frame: 10 (y − x²) and 1 − x."""

    def residuals(s: np.ndarray) -> list[FrameResiduals]:
        x, y = s.T
        value = np.stack([10 * (y - x**2), 1 - x], -1)[..., None]
        zero, one = np.zeros_like(x), np.ones_like(x)
        by = np.stack([np.stack([-20 * x, 10 * one], -1), np.stack([-one, zero], -1)], 1)[:, :, None]
        return [FrameResiduals(value, {"line": by}, np.ones((TIME, 2)))]

    costs = []
    found = minimise(
        Unknowns(TIME, {"line": 2}),
        np.random.default_rng(1).uniform(-2, 2, (TIME, 2)),
        lambda s: costs.append(residuals(s)[0].cost) or residuals(s),
        moved,
        LevenbergMarquardt(200, 1e-9),
    )
    assert np.allclose(found.state, 1.0, atol=1e-3) and found.steps < 120
    assert found.cost <= min(costs) * (1 + 1e-12)


def test_the_search_ends_where_no_step_helps_and_where_nothing_is_wrong() -> None:
    measured = np.zeros((TIME, 5))
    unknowns, start = Unknowns(TIME, {"line": 2}), np.ones((TIME, 2))
    stuck = minimise(unknowns, start, lambda s: line(start, SQUARE, measured), moved, LevenbergMarquardt(100, 1e-6))
    assert stuck.steps < 20 and np.array_equal(stuck.state, start)
    solved = minimise(unknowns, 0 * start, lambda s: line(s, SQUARE, measured), moved, LevenbergMarquardt(100, 1e-6))
    assert solved.steps == 0
    none = minimise(unknowns, start, lambda s: line(s, SQUARE, measured), moved, LevenbergMarquardt(0, 1e-6))
    assert none.steps == 0 and np.array_equal(none.state, start)


def test_steps_that_cannot_be_factored_are_tried_with_more_damping(monkeypatch: pytest.MonkeyPatch) -> None:
    def fragile(equations, damping: float):
        if damping < 0.05:
            raise LinAlgError("not positive definite")
        return damped_step(equations, damping)

    monkeypatch.setattr(levenberg_marquardt, "damped_step", fragile)
    measured = np.ones((TIME, 5))
    rule = LevenbergMarquardt(40, 1e-12)
    found = minimise(Unknowns(TIME, {"line": 2}), np.zeros((TIME, 2)), lambda s: line(s, SQUARE, measured), moved, rule)
    assert found.cost < 1e-6


def test_each_of_many_problems_is_solved_by_itself() -> None:
    """Circles through points: each centre is found, whatever the others do; one problem has no residual at all."""
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 3, (30, 2))
    group = np.repeat(np.arange(30), 7)
    group = group[group != 11]
    angle = rng.uniform(0, 2 * np.pi, len(group))
    seen = centres[group] + np.stack([np.cos(angle), np.sin(angle)], 1)

    def off(values: tuple[np.ndarray, ...]) -> np.ndarray:
        return seen - values[0][group]

    (found,) = minimise_each(
        (centres + rng.normal(0, 0.3, centres.shape),),
        group,
        lambda v: np.linalg.norm(off(v), axis=1, keepdims=True) - 1.0,
        lambda v: (-off(v) / np.linalg.norm(off(v), axis=1, keepdims=True))[:, None],
        lambda v, step: (v[0] + step,),
        cauchy(1.0),
        40,
    )
    others = np.arange(30) != 11
    assert np.allclose(found[others], centres[others], atol=1e-4)
    assert np.isfinite(found).all()
