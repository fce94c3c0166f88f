"""Clips from a folder are the clips that were rendered into it."""

import pytest
import torch

from understudy.runtime.errors import InputError
from understudy.studio.scene.render_dataset import RenderDatasetConfig, render_dataset
from understudy.synthetic.worlds.endless import ClipSizes, EndlessClips
from understudy.videogen.training.dataset_source import KEPT_BYTES, DatasetSource
from understudy.videogen.training.dataset_source import _remembering as remembering

SIZES = ClipSizes(frames=3, height=32, width=32, crops=4, crop_size=32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("scenes")
    render_dataset(RenderDatasetConfig(clips=3, width=96, height=64, frames=5, panorama_width=256), root)
    return root


def test_a_clip_from_disk_is_the_clip_that_was_rendered(folder):
    source = DatasetSource.of_folder(folder, SIZES)
    batch = source(0, 3)
    endless = EndlessClips(0, ClipSizes(5, 32, 32, 4, 32)).clips(range(3), frames=[0, 2, 4])
    order = [endless.words.index(words) for words in batch.words]
    true = endless.clips(order)
    assert sorted(order) == [0, 1, 2]
    assert torch.allclose(batch.T_start_camera, true.T_start_camera, atol=1e-4)
    assert torch.allclose(batch.T_start_crop, true.T_start_crop, atol=1e-6)
    # Two resamplings and JPEG apart, at 32 pixels: alike, and far more so than another clip.
    alike = (batch.context - true.context).abs().mean()
    other = (batch.context - true.context.roll(1, 0)).abs().mean()
    assert alike < 0.1 < other / 2


def test_the_lens_is_that_of_the_square_middle(folder):
    K = DatasetSource.of_folder(folder, SIZES)(0, 1).K[0]
    # 24 mm on a sensor 36 mm wide, of which the middle 64 of 96 pixels are kept.
    assert K[0, 0] == pytest.approx(24 / 36 * 96 / 64 * 32)
    assert K[:2, 2].tolist() == pytest.approx([16, 16])


def test_every_pass_shows_each_clip_once_in_another_order(folder):
    source = DatasetSource.of_folder(folder, SIZES)
    passes = [tuple(source(number, 3).words) for number in range(6)]
    assert all(sorted(words) == sorted(passes[0]) for words in passes)
    assert len(set(passes)) > 1


def test_the_mask_and_the_depth_follow_the_cut(folder):
    batch = DatasetSource.of_folder(folder, SIZES)(0, 3)
    differs = (batch.video - batch.empty).abs().mean(2) > 0.2
    assert batch.mask.max() <= 1 and batch.mask[differs].mean() > 0.5
    assert (batch.depth_m > 0.1).all()


def test_clips_are_remembered_by_how_large_they_are(folder):
    fields, _ = remembering(SIZES)(folder, "scene000000", SIZES)
    largest = sum(tensor.numel() * tensor.element_size() for tensor in fields.values())
    assert 0.9 < remembering(SIZES).cache_info().maxsize * largest / KEPT_BYTES < 1.1
    assert remembering(ClipSizes(77, 384, 672, 20, 672)).cache_info().maxsize < 4


def test_clips_are_given_on_the_device_of_the_training(folder):
    assert DatasetSource.of_folder(folder, SIZES, device="meta")(0, 1).video.device.type == "meta"


def test_an_empty_folder_says_how_to_fill_it(tmp_path):
    with pytest.raises(InputError, match="render-dataset"):
        DatasetSource.of_folder(tmp_path, SIZES)
