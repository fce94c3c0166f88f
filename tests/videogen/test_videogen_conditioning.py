"""Rays, oracle geometry and the rendered point cloud, against geometry that is known by construction."""

from dataclasses import replace

import torch
from random_clips import RandomClips, lens, turned

from understudy.videogen.encoders.point_cloud import render_point_cloud
from understudy.videogen.transformer.conditioning import OracleGeometry, camera_numbers, joined, mapped
from understudy.videogen.transformer.rays import (
    ASIDE_NUMBERS,
    FARTHEST_M,
    RAY_FEATURES,
    passing_numbers,
    patch_points,
    plucker_rays,
    point_numbers,
    ray_features,
)


def test_rays_are_unit_lines_through_their_camera():
    T = turned(torch.tensor([[0.0, 0.5]]))
    T[0, 1, :3, 3] = torch.tensor([1.0, 2.0, 3.0])
    rays = plucker_rays(T, lens(16, 90.0)[None], 2, 2, 8)
    direction, moment = rays[..., :3], rays[..., 3:]
    assert torch.allclose(direction.norm(dim=-1), torch.ones(1, 2, 4))
    assert torch.allclose(moment[0, 0], torch.zeros(4, 3))
    # A moment is the same for every point of the line.
    point = T[0, 1, :3, 3] + 7.0 * direction[0, 1]
    assert torch.allclose(torch.linalg.cross(point, direction[0, 1]), moment[0, 1], atol=1e-4)


def test_the_ray_right_of_and_below_the_axis_points_right_and_down():
    rays = plucker_rays(torch.eye(4)[None, None], lens(16, 90.0)[None], 2, 2, 8)
    assert torch.allclose(rays[0, 0, 3, :3], torch.nn.functional.normalize(torch.tensor([0.5, 0.5, 1.0]), dim=0))


def test_a_quarter_turn_to_the_right_looks_along_x():
    rays = plucker_rays(turned(torch.tensor([[0.0, torch.pi / 2]])), lens(16, 90.0)[None], 1, 1, 16)
    assert torch.allclose(rays[0, 1, 0, :3], torch.tensor([1.0, 0.0, 0.0]), atol=1e-6)


def test_two_pictures_give_one_place_one_ray():
    """A patch in the middle of a crop turned by 45° is the patch at 45° of the start view."""
    T, K = turned(torch.tensor([[0.0, torch.pi / 4]])), lens(16, 90.0)[None]
    start = plucker_rays(T, K, 16, 16, 1)[0, 0].reshape(16, 16, 6)
    crop = plucker_rays(T, K, 16, 16, 1)[0, 1].reshape(16, 16, 6)
    edge, middle = (start[7, 15] + start[8, 15]) / 2, crop[7:9, 7:9].mean((0, 1))
    assert torch.rad2deg(torch.acos((edge[:3] * middle[:3]).sum() / edge[:3].norm() / middle[:3].norm())) < 3.0
    assert ray_features(start).shape == (16, 16, RAY_FEATURES)


def test_numbers_of_a_ray_and_a_point_say_how_far_one_passes_the_other_and_how_far_ahead_it_lies():
    chance = torch.Generator().manual_seed(0)
    T = turned(torch.tensor([[0.0, 0.7]]))
    T[0, 1, :3, 3] = torch.tensor([1.0, -0.5, 2.0])
    points = 4 * torch.randn(50, 3, generator=chance)
    points = points[points.norm(dim=-1) > 0.5]
    rays = plucker_rays(T, lens(16, 90.0)[None], 4, 4, 4)
    products = passing_numbers(T, rays)[:, :, :, None] * point_numbers(points)
    aside, ahead = products[..., :ASIDE_NUMBERS].sum(-1), products[..., ASIDE_NUMBERS:].sum(-1)

    direction, distance = rays[..., None, :3], points.norm(dim=-1)
    along = ((points - T[..., None, None, :3, 3]) * direction).sum(-1)
    nearest = T[..., None, None, :3, 3] + along[..., None] * direction
    assert torch.allclose(ahead, along / distance, atol=1e-5)
    assert torch.allclose(aside, ((points - nearest).norm(dim=-1) / distance).square(), atol=1e-5)


def test_the_points_of_a_patch_lie_on_the_rays_that_see_it_from_anywhere():
    T = turned(torch.tensor([[0.0, 0.6, -0.4]]))
    T[0, 1, :3, 3], T[0, 2, :3, 3] = torch.tensor([-1.0, 0.2, 0.5]), torch.tensor([0.8, 0.0, -0.3])
    K = lens(16, 90.0)[None]
    wall_m = torch.full((1, 1, 16, 16), 5.0)
    points = patch_points(wall_m, K, T[:, :1], 16, 16)
    seen = passing_numbers(T, plucker_rays(T, K, 16, 16, 1))
    aside = seen[..., :ASIDE_NUMBERS] @ points[:, :, :, :ASIDE_NUMBERS].mT
    assert aside[0, 0].diagonal().abs().max() < 1e-5
    # Rays from elsewhere that meet the wall well within the picture: there the nearest of its points is no further than
    # half a pixel's diagonal, and that point is the one where the ray meets the wall.
    origin, direction = T[0, 1:, None, :3, 3], plucker_rays(T, K, 16, 16, 1)[0, 1:, :, :3]
    met = origin + direction * ((5 - origin[..., 2:]) / direction[..., 2:])
    inside = (direction[..., 2] > 0) & (met[..., :2].abs() < 4.5).all(-1)
    assert inside.sum() > 100
    places = 5 * torch.stack(torch.meshgrid(*[(torch.arange(16) + 0.5) / 8 - 1] * 2, indexing="xy"), -1).reshape(-1, 2)
    away = (met[:, :, None, :2] - places).norm(dim=-1)
    chosen = aside[0, 1:].argmin(-1)
    pixel = 5 * 2 / 16
    assert (away.gather(-1, chosen[..., None])[..., 0][inside] < 1.5 * pixel).all()
    assert (aside[0, 1:].amin(-1)[inside] < (pixel / 5) ** 2 / 2).all()


def test_the_sky_is_far_away():
    batch = RandomClips()(0, 1)
    sky, far = (
        OracleGeometry()(replace(batch, context_depth_m=torch.full_like(batch.context_depth_m, depth_m)), 2, 2)
        for depth_m in (torch.inf, FARTHEST_M)
    )
    assert torch.equal(sky.points, far.points) and torch.isfinite(sky.features).all()
    T, K = batch.T_start_crop, batch.K_crop
    assert torch.equal(patch_points(torch.full((1, 3, 16, 16), torch.inf), K, T, 2, 2), far.points)


def test_camera_numbers_are_the_rows_of_rotation_and_translation():
    T = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert torch.equal(camera_numbers(T)[0, 0], torch.arange(12.0))


def test_parts_of_oracle_geometry_know_only_their_part():
    batch = RandomClips(crops=4)(0, 2)
    whole, patches, camera = (OracleGeometry(part)(batch, 2, 2) for part in ("whole", "patches", "camera"))
    assert whole.features.shape == (2, 4, 4, OracleGeometry().channels)
    assert torch.allclose(patches.rays, patches.rays[:, :1].expand_as(patches.rays))  # not where crops look
    assert torch.allclose(camera.rays, camera.rays[:, :, :1].expand_as(camera.rays))  # not where patches lie
    assert (camera.features[..., 6:] == 0).all()
    expected = batch.context_depth_m[:, :, :8, :8].log().mean((2, 3))
    assert torch.allclose(whole.features[:, :, 0, 6], expected, atol=1e-5)


def test_the_point_cloud_seen_from_where_it_was_taken_is_the_picture():
    batch = RandomClips(size_px=16, crops=1)(0, 2)
    K = batch.K_crop
    guide = render_point_cloud(
        batch.context, batch.context_depth_m, batch.T_start_crop, K, batch.T_start_crop, K, 16, 16
    )
    assert torch.equal(guide[:, 0, :3], batch.context[:, 0])
    assert (guide[:, 0, 3] == 1).all()


def test_the_nearest_point_wins_and_what_no_picture_shows_is_empty():
    K = lens(8, 90.0)[None]
    pictures = torch.stack([torch.full((3, 8, 8), -0.5), torch.full((3, 8, 8), 0.5)])[None]
    depth_m = torch.stack([torch.full((8, 8), 2.0), torch.full((8, 8), 5.0)])[None]
    still = torch.eye(4).expand(1, 2, 4, 4)
    back = turned(torch.tensor([[0.0, torch.pi]]))
    guide = render_point_cloud(pictures, depth_m, still, K, back, K, 8, 8)
    assert (guide[0, 0, :3] == -0.5).all()
    assert (guide[0, 1] == 0).all()


def test_moving_forward_spreads_the_points_as_perspective_does():
    K = lens(9, 90.0)[None]
    picture = torch.zeros(1, 1, 3, 9, 9)
    picture[..., 4, 6] = 1.0  # two pixels right of the middle, at 4 m
    T = torch.eye(4).repeat(1, 1, 1, 1)
    T[..., 2, 3] = 2.0
    guide = render_point_cloud(picture, torch.full((1, 1, 9, 9), 4.0), torch.eye(4)[None, None], K, T, K, 9, 9)
    assert guide[0, 0, 0, 4].argmax() == 8  # four pixels right, from 2 m


def test_batches_are_joined_and_changed_whole():
    batch = RandomClips()(0, 2)
    known = OracleGeometry()(batch, 2, 2)
    twice = joined([known, mapped(known, lambda tensor: 2 * tensor)])
    assert torch.equal(twice.features[2:], 2 * known.features) and len(twice.rays) == 4
