"""Rotations from matches, where the matches are known."""

import math

import torch

from understudy.videogen.encoders.matching import (
    YAW_STEP_RAD,
    YAWS,
    Matches,
    cell_directions,
    matching_loss,
    pairs_of,
    rotation_about,
    rotations_of_pairs,
    synchronise,
    yaw_votes,
)

SIDE = 12


def rotations(sets: int, pictures: int, tilt_rad: float = 0.0) -> torch.Tensor:
    """A ring, each picture off by up to 20°, the first level and straight ahead."""
    chance = torch.Generator().manual_seed(0)
    yaw = torch.arange(pictures) * 2 * math.pi / pictures + 0.35 * (
        2 * torch.rand(sets, pictures, generator=chance) - 1
    )
    tilt = tilt_rad * (2 * torch.rand(sets, pictures, 2, generator=chance) - 1)
    level = torch.zeros_like(yaw)
    R = rotation_about(torch.stack([level, yaw, level], -1)) @ rotation_about(
        torch.stack([tilt[..., 0], level, tilt[..., 1]], -1)
    )
    R[:, 0] = torch.eye(3)
    return R


def relative(R: torch.Tensor) -> torch.Tensor:
    i, j = pairs_of(R.shape[1])
    return R[:, j].mT @ R[:, i]


def true_matches(R_j_i: torch.Tensor, sharp_rad: float = 0.06) -> Matches:
    """What a perfect correlation of these pairs would say."""
    directions = cell_directions(SIDE, 1.0)

    def shares(R):
        cosine = (directions @ R.mT) @ directions.T
        likeness = torch.cat([(cosine - 1) / sharp_rad**2, torch.full_like(cosine[..., :1], -2.0)], -1)
        return likeness.log_softmax(-1)

    yaw = torch.atan2(R_j_i[..., 0, 2], R_j_i[..., 2, 2])
    angle = (torch.arange(YAWS) - YAWS // 2) * YAW_STEP_RAD
    score = -((yaw[..., None] - angle) ** 2) / (2 * YAW_STEP_RAD**2)
    score = torch.cat([score, torch.full_like(yaw[..., None], -4.0)], -1)
    return Matches(shares(R_j_i), shares(R_j_i.mT), score.log_softmax(-1))


def angles_deg(R: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    chord = (R - truth).square().sum((-2, -1)).sqrt() / math.sqrt(8)
    return torch.rad2deg(2 * torch.asin(chord.clamp(max=1)))


def test_rings_close_with_and_without_tilt():
    for tilt_rad in (0.0, 0.08):
        R = rotations(20, 6, tilt_rad)
        pairs, sure = rotations_of_pairs(true_matches(relative(R)), cell_directions(SIDE, 1.0))
        errors = angles_deg(pairs, relative(R))
        near = angles_deg(torch.eye(3).expand_as(pairs), relative(R)) < 65
        assert errors[near].max() < 4
        assert (sure > 0.5).float().mean() > 0.3
        found, held = synchronise(pairs, sure, 6)
        assert angles_deg(found, R).mean() < 2, "all pictures, also those that do not see what the first sees"
        assert held.min() > 0.5
        assert torch.equal(found[:, 0], torch.eye(3).expand(20, 3, 3))


def test_matches_refine_what_the_votes_say():
    R = relative(rotations(20, 6))
    matches = true_matches(R)
    shifted = Matches(matches.forward, matches.backward, matches.yaw.roll(1, -1))
    refined, sure = rotations_of_pairs(shifted, cell_directions(SIDE, 1.0))
    close = (angles_deg(torch.eye(3).expand_as(R), R) < 60) & (sure > 0.3)
    assert angles_deg(refined, R)[close].median() < 2, "the votes are off by 4 degrees"


def test_pictures_that_share_nothing_are_held_by_nothing():
    R = rotations(4, 3)
    pairs = relative(R)
    found, held = synchronise(pairs, torch.zeros(pairs.shape[:2]), 3)
    assert held[:, 1:].max() == 0
    torch.testing.assert_close(found, torch.eye(3).expand_as(found))


def test_truth_has_the_least_loss():
    R = relative(rotations(8, 4))
    right = matching_loss(true_matches(R), R, SIDE, 1.0)
    for turn in ([0.0, 0.3, 0.0], [0.2, 0.0, 0.0], [0.0, 0.0, 0.3]):
        wrong = rotation_about(torch.tensor(turn)) @ R
        assert matching_loss(true_matches(wrong), R, SIDE, 1.0) > right + 0.1


def test_votes_count_the_cells_that_a_turn_brings_together():
    votes = yaw_votes(SIDE, 1.0)
    torch.testing.assert_close(votes[YAWS // 2], torch.eye(SIDE**2))
    shared = votes.sum((1, 2))
    assert (shared[YAWS // 2 + 1 :].diff() <= 1e-3).all(), "the further apart, the less is shared"
    torch.testing.assert_close(shared, shared.flip(0), atol=1e-2, rtol=1e-3)


def test_rotation_about_a_vector():
    quarter = rotation_about(torch.tensor([0.0, math.pi / 2, 0.0]))
    torch.testing.assert_close(
        quarter @ torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 0.0]), atol=1e-6, rtol=0
    )
    turn = torch.randn(30, 3, generator=torch.Generator().manual_seed(1))
    R = rotation_about(turn)
    torch.testing.assert_close(R @ R.mT, torch.eye(3).expand(30, 3, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(R @ turn[..., None], turn[..., None], atol=1e-5, rtol=1e-5)
    still = torch.zeros(3, requires_grad=True)
    rotation_about(still).sum().backward()
    assert torch.isfinite(still.grad).all()
