"""Rotations found on the pictures themselves, in sets of our own whose rotations are known."""

import math

import pytest
import torch

from understudy.videogen.encoders.alignment import align_rotations
from understudy.videogen.encoders.matching import rotation_about
from understudy.videogen.encoders.set_pictures import LookingAround

RING = LookingAround(split="held_out", counts=(6,), even_share=1.0, random_share=0.0)


@pytest.fixture(scope="module")
def sets():
    return RING(3, 12)


def angles_deg(R: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    trace = torch.diagonal(R.mT @ true, dim1=-2, dim2=-1).sum(-1)
    return torch.rad2deg(torch.acos(((trace - 1) / 2).clamp(-1, 1)))[:, 1:]


def test_true_rotations_stay(sets):
    assert angles_deg(align_rotations(sets.pictures, sets.R_start_picture, 1.0), sets.R_start_picture).median() < 0.6


def test_rotations_some_degrees_off_are_sharpened(sets):
    chance = torch.Generator().manual_seed(0)
    off = torch.randn((12, 6, 3), generator=chance) * math.radians(3.0)
    off[:, 0] = 0
    first = sets.R_start_picture @ rotation_about(off)
    found = align_rotations(sets.pictures, first, 1.0)
    assert angles_deg(first, sets.R_start_picture).median() > 4
    assert angles_deg(found, sets.R_start_picture).median() < 0.8
    assert torch.equal(found[:, 0], sets.R_start_picture[:, 0])
    assert torch.allclose(found @ found.mT, torch.eye(3).expand_as(found), atol=1e-4)


def test_a_picture_in_the_wrong_place_comes_home(sets):
    first = sets.R_start_picture.clone()
    wrong = rotation_about(torch.tensor([0.0, math.radians(100.0), 0.0]))
    first[:, 3] = wrong @ first[:, 3]
    found = align_rotations(sets.pictures, first, 1.0)
    assert (angles_deg(found, sets.R_start_picture)[:, 2] < 3).float().mean() > 0.7


def test_pictures_of_nothing_keep_their_rotations():
    grey = torch.zeros(2, 4, 3, 48, 48)
    R = rotation_about(torch.randn((2, 4, 3), generator=torch.Generator().manual_seed(1)))
    R[:, 0] = torch.eye(3)
    assert torch.allclose(align_rotations(grey, R, 1.0), R, atol=1e-5)
