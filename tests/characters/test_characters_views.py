"""Pictures from free views: from where they were seen is found, and they give depth and colours."""

from dataclasses import replace

import numpy as np
import pytest
from test_characters_sheet import BLUE, GREEN, PX, RED, colours_by_direction, person, photographed

from understudy.characters.sheet.sheet import SheetPicture, with_sheet
from understudy.characters.sheet.views import FreeView, with_views
from understudy.core.character import Character


def seen_from(character: Character, azimuth: float, colour: tuple[int, int, int]) -> SheetPicture:
    """A picture in one colour from any side, without perspective."""
    right = np.array([np.cos(azimuth), 0.0, -np.sin(azimuth)])
    mesh = character.mesh
    random = np.random.default_rng(1)
    shares = random.dirichlet(np.ones(3), (len(mesh.faces), 60))
    points = np.einsum("fsc,fcx->fsx", shares, mesh.vertices[mesh.faces]).reshape(-1, 3)
    x, y = np.floor((points @ right + 1.0) * PX).astype(int), np.floor((2.0 - points[:, 1]) * PX).astype(int)
    mask = np.zeros((round(2.1 * PX), round(2.0 * PX)), bool)
    mask[y, x] = True
    return SheetPicture(np.where(mask[..., None], colour, 255).astype(np.uint8), mask)


def with_box(character: Character) -> Character:
    """A person with a box on their back."""
    vertices = character.mesh.vertices.copy()
    trunk = (np.abs(vertices[:, 0]) < 0.2) & (vertices[:, 1] > 1.0) & (vertices[:, 1] < 1.4) & (vertices[:, 2] < 0)
    vertices[trunk, 2] -= 0.25
    return replace(character, mesh=replace(character.mesh, vertices=vertices))


def test_views_give_depth_where_they_say_they_are():
    flat, true = person(0.5), with_box(person())
    views = [
        FreeView(f"{degrees}.png", seen_from(true, np.radians(degrees), GREEN), np.radians(degrees))
        for degrees in (90, 50)
    ]
    made, said = with_views(flat, views)
    assert all("told" in one.sentence for one in said), said
    chest = np.abs(made.mesh.vertices - [0, 1.2, 0])[:, :2].max(1) < 0.15
    wanted = np.abs(true.mesh.vertices - [0, 1.2, 0])[:, :2].max(1) < 0.15
    assert np.ptp(made.mesh.vertices[chest, 2]) == pytest.approx(np.ptp(true.mesh.vertices[wanted, 2]), abs=0.06)
    assert np.ptp(flat.mesh.vertices[np.abs(flat.mesh.vertices[:, 1] - 1.2) < 0.15, 2]) < 0.15
    seen = colours_by_direction(made)
    for side in ("left", "right"):  # the right one by its mirror image
        assert (np.abs(seen[side].astype(int) - GREEN).max(1) < 12).mean() > 0.5, side
    assert not (np.abs(seen["front"].astype(int) - GREEN).max(1) < 12).any()


def test_from_where_a_view_is_seen_is_found():
    """Outlines from 255 and 285° are alike: that the front's red shows, tells them apart."""
    true = with_sheet(with_box(person()), photographed(person(), "back", BLUE), None)
    made, (said,) = with_views(true, [FreeView("a.png", seen_from(true, np.radians(285), RED))])
    assert abs(np.degrees(said.azimuth_rad) % 360 - 285) <= 20, said.sentence
    assert np.abs(made.mesh.vertices.max(0) - true.mesh.vertices.max(0)).max() < 0.06


def test_another_figures_view_is_left_out_in_words():
    true = person()
    square = SheetPicture(np.zeros((300, 300, 3), np.uint8), np.ones((300, 300), bool))
    made, (said,) = with_views(true, [FreeView("square.png", square)])
    assert said.sentence.startswith("square.png is left out") and made is true
