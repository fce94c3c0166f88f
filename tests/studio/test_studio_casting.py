"""What is read of a character and of a light that somebody gave or edited."""

import json
from dataclasses import replace

import numpy as np
import pytest
from box_person import box_person
from gltf_files import parts_of
from productions import production, run

from understudy.core.environment import Light
from understudy.io.gltf.write import write_character
from understudy.runtime.errors import FileFormatError
from understudy.studio.film_files import load_light, save_light
from understudy.studio.pipeline.stages.casting import CASTING

LIGHT = Light(np.array([0.0, 0.6, 0.8]), np.array([1.0, 0.9, 0.8]), np.full(3, 0.5), np.full(3, 0.2), np.radians(3.0))


def test_a_character_is_made_anew_when_a_file_that_it_names_changes(tmp_path):
    write_character(tmp_path / "hero.glb", box_person())
    document, content = parts_of(tmp_path / "hero.glb")
    document["buffers"][0]["uri"] = "hero%20data.bin"
    document["images"] = [{"uri": "skin.png"}, {"uri": "../elsewhere.png"}, {"uri": "data:,"}]
    (tmp_path / "hero.gltf").write_text(json.dumps(document))
    binary, skin = tmp_path / "hero data.bin", tmp_path / "skin.png"
    binary.write_bytes(content)

    def stages_run() -> list[str]:
        film = production(tmp_path / "film", characters=[tmp_path / "hero.gltf"])
        try:
            run(CASTING, film)
        finally:
            film.project.close()
        return film.project.executed

    assert [stages_run(), stages_run()] == [["character"], []]
    for changed in (binary, skin):
        changed.write_bytes(content + b"more")
        assert [stages_run(), stages_run()] == [["character"], []], changed


def test_a_light_comes_back_and_its_direction_may_have_any_length(tmp_path):
    save_light(tmp_path / "light.json", replace(LIGHT, key_direction=7 * LIGHT.key_direction))
    assert json.loads((tmp_path / "light.json").read_text())["key_angle_deg"] == pytest.approx(3.0)
    light = load_light(tmp_path / "light.json")
    for name, value in vars(LIGHT).items():
        assert getattr(light, name) == pytest.approx(value), name


@pytest.mark.parametrize(
    "edit",
    [
        {"key_direction": [0, 0, 0]}, {"key_colour": [1, float("nan"), 1]},
        {"fill_sky": [1, 2]}, {"fill_ground": None}, {"key_angle_deg": float("nan")}, {"key_angle_deg": 120},
        {"key_angle_deg": "soft"}, {"fill_sky": [10**400] * 3}, {"moon": [0, 0, 0]},
    ],
)  # fmt: skip
def test_a_light_that_is_none(tmp_path, edit):
    path = tmp_path / "light.json"
    save_light(path, LIGHT)
    path.write_text(json.dumps(json.loads(path.read_text()) | edit))
    with pytest.raises(FileFormatError, match="is no light"):
        load_light(path)


@pytest.mark.parametrize("text", ["[]", "7", "{}", "", "[" * 100_000])
def test_a_file_that_is_no_light(tmp_path, text):
    (tmp_path / "light.json").write_text(text)
    with pytest.raises(FileFormatError, match="is no light"):
        load_light(tmp_path / "light.json")
