"""Trainings, datasets and evaluations of scenes write and clean up in their own folders alone."""

from pathlib import Path

import pytest

pytest.importorskip("torch")

from understudy.evaluation.scene import EvaluateSceneConfig, evaluate_scene
from understudy.runtime.errors import InputError
from understudy.studio.scene.render_dataset import RenderDatasetConfig, render_dataset
from understudy.studio.scene.shoot_models import CHECKPOINTS
from understudy.studio.scene.train import TrainSceneConfig, train_scene


@pytest.mark.parametrize("name", [".step_00000001.partial", "step_00000500", "video/whuman/scene000000", ".unfinished"])
def test_links_are_refused_before_any_work(tmp_path, name):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".thesis.part").write_text("years of work")
    (out / name).parent.mkdir(parents=True)
    (out / name).symlink_to(elsewhere)
    with pytest.raises(InputError, match="is a link"):
        render_dataset(RenderDatasetConfig(clips=1), out)
    with pytest.raises(InputError, match="is a link"):
        train_scene(out, TrainSceneConfig(preset="tiny"))
    if name == ".unfinished":
        with pytest.raises(InputError, match="is a link"):
            evaluate_scene(CHECKPOINTS / "mini", out, EvaluateSceneConfig(clips=1, seeds=1, posed_clips=0))
    assert [path.name for path in elsewhere.iterdir()] == [".thesis.part"]
    assert Path(out / name).is_symlink()
