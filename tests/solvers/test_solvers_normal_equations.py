"""Band, border and eliminated points against dense algebra on random problems."""

import numpy as np
import pytest
from scipy.linalg import LinAlgError

from understudy.solvers.banded import damped_step
from understudy.solvers.losses import SQUARE, cauchy, pseudo_huber
from understudy.solvers.normal_equations import normal_equations
from understudy.solvers.residuals import FrameResiduals, PointResiduals, Residuals, SharedResiduals, VisibilityGraph
from understudy.solvers.unknowns import Unknowns

TIME, POINTS = 7, 9
SIZES = {"place": 3, "turn": 2, "lens": 1, "tilt": 2}
FACTORS = [(1.0,), (-1.0, 1.0), (1.0, -2.0, 1.0), (1 / TIME,) * TIME]


def made(seed: int, factors: tuple[float, ...], names: tuple[str, ...], loss=SQUARE) -> FrameResiduals:
    rng = np.random.default_rng(seed)
    by = {name: rng.normal(size=(TIME, 4, 2, SIZES[name])) for name in names}
    weight = rng.uniform(0, 2, (max(TIME - len(factors) + 1, 0), 4))
    weight[:, 1] = 0.0
    return FrameResiduals(rng.normal(size=(TIME, 4, 2)), by, weight, loss, factors)


def made_points(seed: int, loss=SQUARE) -> PointResiduals:
    rng = np.random.default_rng(seed)
    seen = rng.uniform(size=(POINTS, TIME)) < 0.6
    seen[:, :2] = True
    point, frame = np.nonzero(seen)
    by = {name: rng.normal(size=(len(point), 2, size)) for name, size in (*SIZES.items(), ("point", 3))}
    return PointResiduals(VisibilityGraph(frame, point), rng.normal(size=(len(point), 2)), by, loss)


def made_shared(seed: int) -> SharedResiduals:
    rng = np.random.default_rng(seed)
    return SharedResiduals(rng.normal(size=3), {name: rng.normal(size=(3, SIZES[name])) for name in ("lens", "tilt")})


LAYOUTS = {
    "band": Unknowns(TIME, SIZES, eliminated={"point": (POINTS, 3)}),
    "band and border": Unknowns(
        TIME, {"place": 3, "turn": 2}, {"lens": 1, "tilt": 2}, eliminated={"point": (POINTS, 3)}
    ),
    "a border apart": Unknowns(
        TIME, {"place": 3, "lens": 1}, {"tilt": 2}, {"turn": 2}, {"point": (POINTS, 3)}, anchored=("place",)
    ),
    "border alone": Unknowns(TIME, {}, {"place": 3, "lens": 1}, {"turn": 2, "tilt": 2}, {"point": (POINTS, 3)}),
}


class Dense:
    """All unknowns side by side, and residuals as plain rows."""

    def __init__(self, unknowns: Unknowns) -> None:
        self.unknowns, self.at, start = unknowns, {}, 0
        for name, size in unknowns.per_frame.items():
            for t in range(TIME):
                self.at[name, t] = np.arange(start, start := start + size)
        for name, size in unknowns.shared.items():
            columns = np.arange(start, start := start + size)
            self.at |= {(name, t): columns for t in range(TIME)}
        for name, (count, size) in unknowns.eliminated.items():
            for item in range(count):
                self.at[name, item] = np.arange(start, start := start + size)
        self.size = start
        self.free = np.ones(start, bool)
        for name in unknowns.anchored:
            self.free[self.at[name, 0]] = False

    def rows(self, term: Residuals) -> tuple[np.ndarray, np.ndarray]:
        """Weighed residuals and Jacobian rows, one part of one row at a time."""
        J, r = [], []

        def add(value: np.ndarray, weight: float, loss, parts: list[tuple[str, int, np.ndarray]]) -> None:
            root = np.sqrt(weight * loss.weighed((value**2).sum(keepdims=True))[1][0])
            for part in range(len(value)):
                row = np.zeros(self.size)
                for name, index, derivative in parts:
                    if (name, index) in self.at:
                        row[self.at[name, index]] += derivative[part]
                J.append(root * row)
                r.append(root * value[part])

        if isinstance(term, FrameResiduals):
            for t in range(TIME - len(term.factors) + 1):
                for row in range(term.value.shape[1]):
                    value = sum(f * term.value[t + k, row] for k, f in enumerate(term.factors))
                    parts = [
                        (name, t + k, f * by[t + k, row])
                        for k, f in enumerate(term.factors)
                        for name, by in term.derivatives.items()
                    ]
                    add(value, term.weight[t, row], term.loss, parts)
        elif isinstance(term, SharedResiduals):
            for row, value in enumerate(term.value):
                add(value[None], 1.0, SQUARE, [(name, 0, by[row][None]) for name, by in term.derivatives.items()
                                               if name in self.unknowns.shared])  # fmt: skip
        else:
            for n, (t, item) in enumerate(zip(term.visible.frame, term.visible.point, strict=True)):
                parts = [(name, item if name == "point" else t, by[n]) for name, by in term.derivatives.items()]
                add(term.value[n], 1.0, term.loss, parts)
        return np.array(J).reshape(-1, self.size), np.array(r)

    def step(self, terms: list[Residuals], damping: float) -> dict[str, np.ndarray]:
        """The damped step by dense algebra."""
        J, r = (np.concatenate(parts) for parts in zip(*(self.rows(term) for term in terms), strict=True))
        H, g = J.T @ J, J.T @ r
        H = H + damping * np.diag(np.diag(H))
        x = np.zeros(self.size)
        x[self.free] = np.linalg.solve(H[np.ix_(self.free, self.free)], -g[self.free])
        step = {name: np.zeros(size) for name, size in self.unknowns.held.items()}
        for name in self.unknowns.per_frame:
            step[name] = np.array([x[self.at[name, t]] for t in range(TIME)])
        step |= {name: x[self.at[name, 0]] for name in self.unknowns.shared}
        for name, (count, _) in self.unknowns.eliminated.items():
            step[name] = np.array([x[self.at[name, item]] for item in range(count)])
        return step


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("loss", [SQUARE, cauchy(0.8), pseudo_huber(0.5)], ids=lambda loss: loss.kind)
def test_step_is_that_of_dense_algebra(layout: str, loss) -> None:
    unknowns = LAYOUTS[layout]
    terms = [made(k, factors, ("lens", "turn", "place"), loss) for k, factors in enumerate(FACTORS)]
    terms += [made(8, (1.0,), ("turn", "tilt"), loss), made_shared(5), made_points(6, loss)]
    expected = Dense(unknowns).step(terms, 0.1)
    step, gain = damped_step(normal_equations(unknowns, terms), 0.1)
    assert step.keys() == expected.keys()
    for name, values in expected.items():
        assert np.allclose(step[name], values, rtol=1e-7, atol=1e-9), name
    assert gain > 0


def test_gain_is_that_of_the_quadratic_model() -> None:
    """Of linear residuals, the step gains what was foretold: the cost after it is known exactly."""
    unknowns = LAYOUTS["band and border"]
    terms = [made(k, factors, ("lens", "turn", "place", "tilt")) for k, factors in enumerate(FACTORS)]
    terms += [made_shared(5), made_points(6)]
    step, gain = damped_step(normal_equations(unknowns, terms), 0.3)
    dense = Dense(unknowns)
    x = np.zeros(dense.size)
    for (name, index), where in dense.at.items():
        x[where] = step[name][index] if step[name].ndim == 2 else step[name]
    before, after = 0.0, 0.0
    for term in terms:
        J, r = dense.rows(term)
        before, after = before + r @ r, after + ((r + J @ x) ** 2).sum()
    assert before - after == pytest.approx(gain, rel=1e-9)
    assert before == pytest.approx(sum(term.cost for term in terms))


def test_unknowns_that_nothing_touches_stay() -> None:
    unknowns = Unknowns(TIME, {"place": 3, "turn": 2}, {"lens": 1, "tilt": 2}, eliminated={"point": (POINTS + 2, 3)})
    terms = [made(1, (1.0,), ("place", "lens")), made_points(6)]
    terms[1] = PointResiduals(terms[1].visible, terms[1].value,
                              {name: terms[1].derivatives[name] for name in ("place", "point")})  # fmt: skip
    step, _ = damped_step(normal_equations(unknowns, terms), 1e-3)
    assert not step["turn"].any() and not step["tilt"].any() and not step["point"][POINTS:].any()
    assert step["place"].all() and step["point"][:POINTS].all()


def test_what_cannot_be_told_apart_shares_the_step() -> None:
    """Two unknowns that only their sum matters of: singular without damping, even halves with it."""
    one = np.ones((TIME, 1, 1, 1))
    term = FrameResiduals(-2.0 * one[..., 0], {"lens": one, "tilt": one}, np.ones((TIME, 1)))
    step, _ = damped_step(normal_equations(Unknowns(TIME, {"lens": 1, "tilt": 1}), [term]), 1e-6)
    assert np.allclose(step["lens"], 1.0, atol=1e-4) and np.allclose(step["tilt"], 1.0, atol=1e-4)


def test_a_matrix_that_is_not_positive_definite_is_refused() -> None:
    equations = normal_equations(LAYOUTS["band"], [made(1, (1.0,), tuple(SIZES)), made_points(6)])
    equations.band[0, 3] -= 100.0 * np.eye(8)
    with pytest.raises(LinAlgError):
        damped_step(equations, 1e-3)


def test_clips_too_short_for_a_term_do_without_it() -> None:
    unknowns = Unknowns(2, {"place": 1})
    ones = np.ones((2, 1, 1, 1))
    near = FrameResiduals(ones[..., 0], {"place": ones}, np.ones((2, 1)))
    smooth = FrameResiduals(ones[..., 0], {"place": ones}, np.ones((0, 1)), factors=(1.0, -2.0, 1.0))
    assert smooth.cost == 0.0
    step, _ = damped_step(normal_equations(unknowns, [near, smooth]), 0.0)
    assert np.allclose(step["place"], -1.0)


def test_names_are_checked() -> None:
    with pytest.raises(KeyError, match="turn"):
        normal_equations(Unknowns(TIME, {"place": 3}), [made(1, (1.0,), ("place", "turn"))])
    with pytest.raises(ValueError, match="two groups"):
        Unknowns(TIME, {"place": 3}, {"place": 3})
    with pytest.raises(ValueError, match="anchored"):
        Unknowns(TIME, {}, {"place": 3}, anchored=("place",))
    with pytest.raises(ValueError, match="sorted"):
        VisibilityGraph(np.array([0, 1]), np.array([1, 0]))


@pytest.mark.parametrize("loss", [SQUARE, cauchy(0.8), pseudo_huber(0.5)], ids=lambda loss: loss.kind)
def test_weights_are_derivatives_of_losses(loss) -> None:
    s = np.array([1e-6, 0.1, 1.0, 30.0])
    ahead, behind = (loss.weighed(s * (1 + e))[0] for e in (1e-6, -1e-6))
    assert np.allclose((ahead - behind) / (2e-6 * s), loss.weighed(s)[1], rtol=1e-4)
    assert loss.weighed(s)[0][0] == pytest.approx(1e-6, rel=1e-4)
