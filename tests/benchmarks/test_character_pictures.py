"""The benchmark of characters photographs, relights and moves bodies as it says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from known_bodies import benchmark, ellipsoid

from understudy.core.motion import BODY_JOINTS

studio, moving, skinning = benchmark("studio"), benchmark("moving"), benchmark("skinning")
SIZE = (200, 200)


def test_white_that_faces_the_camera_gets_nearly_all_light():
    picture = studio.matt_picture(ellipsoid((0.5, 0.5, 0.5), (0.0, 0.5, 0.0), colour=1.0, specular=1.0), SIZE)
    rows, columns = np.nonzero(picture.alpha > 0.99)
    assert np.ptp(rows) == pytest.approx(0.88 * 200, abs=3) and np.ptp(columns) == pytest.approx(0.88 * 200, abs=3)
    light = studio.PLAIN_LIGHT
    expected = light.key_colour[0] * light.key_direction[2] + 0.5 * (light.fill_sky[0] + light.fill_ground[0])
    assert picture.colour[100, 100] == pytest.approx(expected, abs=0.01) and 0.95 < expected < 1.0


def test_a_character_relit_as_its_picture_was_is_its_picture_and_what_mirrors_is_lighter():
    ball = ellipsoid((0.5, 0.5, 0.5), (0.0, 0.5, 0.0), colour=0.004)
    picture = studio.matt_picture(ball, SIZE)
    figures = studio.relit_figures(picture, ball, ball)
    assert figures["front_relit_db"] > 45 and abs(figures["black_lift"]) < 1e-4
    mirroring = studio.relit_figures(
        picture, ellipsoid((0.5, 0.5, 0.5), (0.0, 0.5, 0.0), colour=0.004, specular=1.0), ball
    )
    assert mirroring["black_lift"] > 0.005 and mirroring["front_relit_db"] < figures["front_relit_db"]
    grey = ellipsoid((0.5, 0.5, 0.5), (0.0, 0.5, 0.0), colour=0.5)
    assert "black_lift" not in studio.relit_figures(studio.matt_picture(grey, SIZE), grey, grey)


def test_the_edges_of_a_stiff_body_keep_their_length(shared_data: Path, monkeypatch: pytest.MonkeyPatch):
    """A body that moves with one joint keeps its edges, and cuts into itself no more than at rest."""
    body = moving.actor()
    hips = np.full((len(body.mesh.vertices), 1), BODY_JOINTS.index("Hips"))
    stiff = replace(body, skin_joints=hips, skin_weights=np.ones(hips.shape))
    monkeypatch.setattr(moving, "MOTIONS", ("cmu_jumping_jacks",))
    monkeypatch.setattr(moving, "_CUT_SHARES", (0.5,))
    figures = moving.posed_figures(stiff, shared_data)
    assert figures["stretch_99"] == pytest.approx(1.0, abs=0.002)
    assert figures["cut_faces_more_percent"] == pytest.approx(0.0, abs=0.05)
    assert moving.posed_figures(body, shared_data)["stretch_99"] > 1.1


def test_true_skin_weights_have_no_error(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(skinning, "MOTIONS", ("cmu_jumping_jacks",))
    monkeypatch.setattr(skinning, "blender_command", lambda: None)
    assert skinning.skinning_figures(shared_data, tmp_path)["skinning_mean_mm"] > 0.1
    body = moving.actor()

    def true(vertices: np.ndarray, *_: object) -> tuple[np.ndarray, np.ndarray]:
        index = {tuple(place): number for number, place in enumerate(body.mesh.vertices.tolist())}
        found = [index[tuple(place)] for place in vertices.tolist()]
        return body.skin_joints[found], body.skin_weights[found]

    monkeypatch.setattr(skinning, "skin", true)
    figures = skinning.skinning_figures(shared_data, tmp_path)
    assert figures == {"skinning_mean_mm": 0.0, "skinning_max_mm": 0.0}


def test_seams_of_a_texture_are_welded():
    vertices = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
    faces = moving.welded(vertices, np.array([[0, 1, 2], [3, 5, 4]]))
    assert len(np.unique(faces)) == 4 and faces[0, 1] == faces[1, 0] and faces[0, 2] == faces[1, 2]
