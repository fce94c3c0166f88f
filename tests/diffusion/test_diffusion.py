"""Schedules, samplers and guidance: what must hold at both ends of time, on straight flows, and at scale 1."""

import pytest
import torch

from understudy.diffusion.guidance import guided
from understudy.diffusion.samplers import euler, heun
from understudy.diffusion.schedule import (
    MIN_NOISE,
    TimeSampling,
    noised,
    sampling_times,
    velocity_error,
    velocity_from_prediction,
)


@pytest.fixture
def ends() -> tuple[torch.Tensor, torch.Tensor]:
    chance = torch.Generator().manual_seed(0)
    return torch.randn((4, 2, 3), generator=chance), torch.randn((4, 2, 3), generator=chance)


def test_time_zero_is_noise_and_time_one_is_clean(ends):
    clean, noise = ends
    assert torch.equal(noised(clean, noise, torch.zeros(4)), noise)
    assert torch.equal(noised(clean, noise, torch.ones(4)), clean)


def test_the_true_clean_clip_gives_the_true_velocity_at_any_time(ends):
    clean, noise = ends
    time = torch.tensor([0.0, 0.3, 0.7, 0.95])
    velocity = velocity_from_prediction(clean, noised(clean, noise, time), time, "clean")
    assert torch.allclose(velocity, clean - noise, atol=1e-5)


@pytest.mark.parametrize("time", [0.0, 0.5, 0.85])
def test_errors_of_both_predictions_are_errors_of_velocity(ends, time):
    clean, noise = ends
    at = torch.full((4,), time)
    noisy, wrong = noised(clean, noise, at), clean + 0.1
    by_clean = velocity_error(wrong, clean, noise, at, "clean")
    by_velocity = velocity_error(velocity_from_prediction(wrong, noisy, at, "clean"), clean, noise, at, "velocity")
    assert torch.allclose(by_clean, by_velocity, rtol=1e-4)


def test_the_weight_of_clean_errors_is_bounded(ends):
    clean, noise = ends
    error = velocity_error(clean + 1, clean, noise, torch.ones(4), "clean")
    assert torch.allclose(error, torch.full_like(error, MIN_NOISE**-2))


def test_sampling_times_run_from_noise_to_clean_and_shift_slows_the_start():
    plain, shifted = sampling_times(20), sampling_times(20, shift=3.0)
    for times in (plain, shifted):
        assert times[0] == 0 and times[-1] == 1 and (times.diff() > 0).all()
    assert torch.allclose(plain, torch.linspace(0, 1, 21))
    assert (shifted[1:-1] < plain[1:-1]).all()
    with pytest.raises(ValueError, match="a step or more"):
        sampling_times(0)


def test_drawn_times_have_their_share_of_pure_noise_and_their_median():
    times = TimeSampling(mean=-1.2, deviation=1.0, pure_noise=0.1).draw(20000, torch.Generator().manual_seed(0))
    assert 0.09 < (times == 0).float().mean() < 0.11
    assert abs(times[times > 0].median() - torch.sigmoid(torch.tensor(-1.2))) < 0.01


@pytest.mark.parametrize("sampler", [euler, heun])
@pytest.mark.parametrize("steps", [1, 7])
def test_straight_flows_are_followed_exactly(ends, sampler, steps):
    clean, noise = ends
    found = sampler(lambda noisy, time: clean - noise, noise, sampling_times(steps, 2.5))
    assert torch.allclose(found, clean, atol=1e-5)


def test_a_perfect_clean_prediction_is_reached_and_never_asked_for_at_time_one(ends):
    clean, noise = ends
    seen = []

    def field(noisy, time):
        seen.append(float(time[0]))
        return velocity_from_prediction(clean, noisy, time, "clean")

    for sampler in (euler, heun):
        assert torch.allclose(sampler(field, noise, sampling_times(5, 2.0)), clean, atol=1e-5)
    assert max(seen) < 1


def test_heun_is_of_second_order_on_a_curved_flow():
    start = torch.ones(1, 1)
    exact = torch.exp(torch.tensor(1.0))

    def error(sampler, steps):
        return abs(float(sampler(lambda z, t: z, start, sampling_times(steps))) - float(exact))

    assert error(heun, 40) < 0.2 * error(euler, 40)
    assert error(euler, 20) / error(euler, 40) == pytest.approx(2, rel=0.1)


def test_guidance_of_one_is_the_conditional_field_at_its_cost(ends):
    asked = []

    def field(noisy, time, without):
        asked.append(without)
        return noisy * (2 - len(without))

    velocity = guided(field, {"words": 1.0, "camera": 1.0})
    assert torch.equal(velocity(ends[0], torch.zeros(4)), 2 * ends[0])
    assert asked == [frozenset()]


def test_guidance_scales_each_condition_by_itself(ends):
    effect = {"words": 1.0, "set": 10.0}

    def field(noisy, time, without):
        return torch.full_like(noisy, sum(value for name, value in effect.items() if name not in without))

    velocity = guided(field, {"words": 3.0, "set": 0.0})(ends[0], torch.zeros(4))
    assert torch.equal(velocity, torch.full_like(velocity, 3.0 * 1.0 + 0.0 * 10.0))


def test_samplers_tell_their_progress(ends):
    told = []
    euler(lambda noisy, time: noisy, ends[0], sampling_times(3), lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
