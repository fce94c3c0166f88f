"""What light surfaces throw back, as laws that hold for every renderer."""

import numpy as np
import pytest
from simple_takes import KEY, LIGHT, camera, quad, sphere, still

from understudy.core.character import Material
from understudy.core.environment import Light
from understudy.core.film import Take
from understudy.render.reflectance import dielectric_reflectance, split_sum, split_sum_table

ONE = np.ones(3)
AROUND = Light(KEY, np.zeros(3), ONE, ONE)
"""The same light from everywhere."""
NEUTRAL = Light(KEY, 0.8 * ONE, 0.4 * ONE, 0.2 * ONE)


def of(base, **finish):
    return Material(base_colour=(*base, 1.0), **finish)


def ball(renderer, material, light):
    """What a ball sends to the camera: colours of the pixels that are all ball, and the cosine to the camera there."""
    view = camera((0, 0, 3), (0, 0, 0), focal_px=180.0)
    passes = renderer(Take((still(sphere(0.5, rings=10, material=material)),), view, light), 0)
    whole = passes.alpha == 1
    assert whole.sum() > 2000
    return passes.colour[whole], passes.normals[whole][:, 2]


def head_on(renderer, material, light):
    """What a square that faces the camera sends to it, in its middle."""
    return renderer(Take((still(quad(1.0, material)),), camera((0, 0, 3), (0, 0, 0)), light), 0).colour[37, 48]


def test_black_without_reflection_stays_black(renderer):
    colour, _ = ball(renderer, of((0.0, 0.0, 0.0), specular=0.0), NEUTRAL)
    assert np.abs(colour).max() == 0


@pytest.mark.parametrize("roughness", [0.3, 0.9, 1.0])
def test_a_black_dielectric_mirrors_less_than_its_reflectance_from_straight_ahead(renderer, roughness):
    lift = head_on(renderer, of((0.0, 0.0, 0.0), roughness=roughness), AROUND)
    assert lift.min() > 0.3 * 0.04 and lift.max() < 0.04
    rough, _ = ball(renderer, of((0.0, 0.0, 0.0), roughness=1.0), AROUND)
    assert rough.max() < 0.04


@pytest.mark.parametrize("roughness", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(("metallic", "specular"), [(0.0, 1.0), (0.0, 0.0), (0.5, 1.0), (1.0, 1.0)])
def test_white_in_a_white_furnace_is_as_bright_as_the_furnace(renderer, roughness, metallic, specular):
    colour, _ = ball(renderer, of(ONE, roughness=roughness, metallic=metallic, specular=specular), AROUND)
    assert np.abs(colour - 1).max() < 1e-3


def test_nothing_is_brighter_than_what_surrounds_it(renderer):
    looks = (
        of((0.9, 0.4, 0.1), roughness=0.1, specular_colour=(30.0, 2.0, 0.5)),
        of((0.9, 0.4, 0.1), roughness=0.6, metallic=0.8, specular=0.5),
    )
    for material in looks:
        colour, _ = ball(renderer, material, AROUND)
        assert colour.max() < 1.001


@pytest.mark.parametrize("roughness", [0.05, 0.4, 1.0])
def test_metals_keep_their_colour(renderer, roughness):
    gold = np.array([1.0, 0.78, 0.34])
    colour = head_on(renderer, of(gold, metallic=1.0, roughness=roughness), AROUND)
    assert colour[0] > 0.98
    # Between rough microfacets light bounces once or a few times, each time taking on the metal's colour.
    assert (colour <= gold + 0.01).all() and (colour > gold**2 - 0.01).all()


def test_matt_gives_back_its_albedo(renderer):
    colour, _ = ball(renderer, of((0.6, 0.3, 0.1), specular=0.0), AROUND)
    assert np.abs(colour - [0.6, 0.3, 0.1]).max() < 0.005


def test_renderers_shade_alike(both):
    looks = (
        of((0.6, 0.3, 0.2), roughness=0.5), of((0.6, 0.3, 0.2), roughness=0.2, specular=0.4),
        of((0.1, 0.1, 0.1), roughness=0.6, specular_colour=(4.0, 0.5, 1.0)),
        of((0.9, 0.6, 0.2), roughness=0.35, metallic=1.0), of((0.5, 0.6, 0.2), roughness=0.8, metallic=0.4),
        of((0.2, 0.2, 0.2), specular=0.0),
    )  # fmt: skip
    # A key beside the camera: nothing of a ball that it shows is in its own shadow.
    to_key = np.array([0.1, 0.1, 0.99]) / np.linalg.norm([0.1, 0.1, 0.99])
    light = Light(to_key, 0.6 * LIGHT.key_colour, LIGHT.fill_sky, LIGHT.fill_ground, np.radians(2))
    for material in looks:
        (opengl, facing), (reference, _) = (ball(renderer, material, light) for renderer in both)
        off = np.abs(opengl - reference)[facing > 0.3]
        # Within a sharp highlight a pixel lit once is not the mean of its samples lit.
        assert np.percentile(off, 98) < 0.01 and off.mean() < 2e-3


def test_reflectance_of_dielectrics_is_that_of_the_khronos_extension():
    f0, f90 = dielectric_reflectance(Material(specular=0.5, specular_colour=(2.0, 1.0, 50.0)))
    assert f0 == pytest.approx([0.5 * 0.08, 0.5 * 0.04, 0.5]) and f90 == 0.5
    f0, f90 = dielectric_reflectance(Material())
    assert f0 == pytest.approx([0.04] * 3) and f90 == 1.0


@pytest.mark.parametrize("roughness", [0.3, 0.6, 0.9])
def test_the_split_sum_is_the_integral_of_the_lobe_over_all_lights(roughness):
    """By the plain rectangle rule over light directions, not over half vectors."""
    height, turn = np.meshgrid((np.arange(400) + 0.5) / 400, (np.arange(400) + 0.5) / 400 * 2 * np.pi, indexing="ij")
    across = np.sqrt(1 - height**2)
    light = np.stack([across * np.cos(turn), across * np.sin(turn), height], -1)
    alpha = roughness**2
    k = alpha / 2
    for n_v in (0.15, 0.5, 0.95):
        camera_way = np.array([np.sqrt(1 - n_v**2), 0.0, n_v])
        half = light + camera_way
        half /= np.linalg.norm(half, axis=-1, keepdims=True)
        lobe = alpha**2 / (np.pi * (half[..., 2] ** 2 * (alpha**2 - 1) + 1) ** 2)
        g = n_v / (n_v * (1 - k) + k) * height / (height * (1 - k) + k)
        brdf = lobe * g / (4 * n_v * height)
        grazing = (1 - half @ camera_way) ** 5
        expected = [2 * np.pi * ((1 - grazing) * brdf * height).mean(), 2 * np.pi * (grazing * brdf * height).mean()]
        assert split_sum(roughness, np.array([n_v]), 512)[0] == pytest.approx(expected, abs=0.01)
        row, column = round(32 * roughness - 0.5), round(32 * n_v - 0.5)
        assert split_sum_table()[row, column] == pytest.approx(expected, abs=0.05)
