"""Clips on disk: what was rendered is what is read, and an interrupted run goes on."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from understudy.geometry.panorama import level_views
from understudy.io.cameras.sets import read_unreal_cameras
from understudy.io.scene_dataset import finished_scenes, read_scene_clip, takes_of
from understudy.runtime.errors import FileFormatError, InputError
from understudy.studio.scene.render_dataset import RenderDatasetConfig, render_dataset
from understudy.synthetic.worlds.endless import ClipSizes, EndlessClips

CONFIG = RenderDatasetConfig(clips=2, width=64, height=48, frames=5, panorama_width=256, seed=3)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    assert render_dataset(CONFIG, folder) == ["scene000000", "scene000001"]
    return folder


def test_a_clip_comes_back_as_it_was_filmed(dataset: Path) -> None:
    clips = EndlessClips(3, ClipSizes(5, 48, 64, 1, 16, field_rad=2 * math.atan(0.75)))
    truth = clips.clips([1])
    clip = read_scene_clip(dataset, "scene000001")
    assert clip.words == truth.words[0] and len(clip) == 5 and clip.take == "01"
    np.testing.assert_allclose(clip.camera.K[0], truth.K[0].numpy(), atol=1e-3)
    T = np.linalg.inv(clip.camera.T_world_camera[0]) @ clip.camera.T_world_camera
    np.testing.assert_allclose(T, truth.T_start_camera[0].numpy(), atol=1e-5)
    for ours, theirs in ((clip.video, truth.video), (clip.empty, truth.empty)):
        pictures = ((theirs[0].permute(0, 2, 3, 1) + 1) * 127.5).numpy()
        assert np.abs(ours - pictures).mean() < 6  # H.264 with colours at half size.
    assert np.abs(clip.mask / 255 - truth.mask[0].numpy()).max() < 0.003
    depth = truth.depth_m[0].numpy()
    finite = np.isfinite(depth)
    assert (np.isfinite(clip.depth_m) == finite).all()
    np.testing.assert_allclose(clip.depth_m[finite], depth[finite], rtol=2e-4)


def test_the_panorama_on_disk_gives_the_start_view(dataset: Path) -> None:
    clips = EndlessClips(3, ClipSizes(5, 48, 64, 8, 32))
    context = clips.clips([0]).context[0]
    views, T, _ = level_views(read_scene_clip(dataset, "scene000000").panorama, 8, 32)
    np.testing.assert_allclose(T[2, :3, 2], [1, 0, 0], atol=1e-9)
    difference = np.abs(views - ((context.permute(0, 2, 3, 1) + 1) * 127.5).numpy())
    assert difference.mean((1, 2, 3)).max() < 12
    shifted = np.abs(np.roll(views, 1, 0) - ((context.permute(0, 2, 3, 1) + 1) * 127.5).numpy())
    assert difference.mean() < 0.4 * shifted.mean()


def test_some_frames_are_read_alone(dataset: Path) -> None:
    whole, some = read_scene_clip(dataset, "scene000000"), read_scene_clip(dataset, "scene000000", "01", [1, 4])
    assert (some.video == whole.video[[1, 4]]).all() and (some.depth_m == whole.depth_m[[1, 4]]).all()
    np.testing.assert_array_equal(some.camera.T_world_camera, whole.camera.T_world_camera[[1, 4]])
    for frames in ([4, 1], [5], [-1], []):
        with pytest.raises(FileFormatError, match="frames 0 … 4"):
            read_scene_clip(dataset, "scene000000", "01", frames)


def test_the_layout_is_the_public_one(dataset: Path) -> None:
    scene = "scene000000"
    assert takes_of(dataset, scene) == ["01"]
    files = [dataset / "camera" / who / scene / f"{scene}_cam.json" for who in ("whuman", "wohuman")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert list(read_unreal_cameras(files[0])) == ["01_24mm"]
    for path in (
        f"panorama/{scene}/{scene}_pano.jpeg",
        f"video/whuman/{scene}/{scene}_01_24mm.mp4",
        f"video/wohuman/{scene}/{scene}_01_24mm.mp4",
        f"text/whuman/{scene}/action.json",
    ):
        assert (dataset / path).stat().st_size > 0


def test_damage_is_told(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no take 02"):
        read_scene_clip(dataset, "scene000000", "02")
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_scene_clip(dataset, "scene000009")
    subprocess.run(["cp", "-r", str(dataset), str(tmp_path / "copy")], check=True)
    for name, says in (
        ("text/whuman/scene000000/action.json", "sentence"),
        ("panorama/scene000000/scene000000_pano.jpeg", "panorama"),
        ("video/wohuman/scene000000/scene000000_01_24mm.mp4", "missing"),
    ):
        (tmp_path / "copy" / name).unlink()
        with pytest.raises(InputError, match=says):
            read_scene_clip(tmp_path / "copy", "scene000000")
    assert finished_scenes(tmp_path / "copy") == ["scene000001"]


def test_other_settings_are_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="other settings"):
        render_dataset(RenderDatasetConfig(clips=2, width=32, height=48, frames=5, panorama_width=256), dataset)
    with pytest.raises(InputError, match="give 16 to"):
        render_dataset(RenderDatasetConfig(clips=2, width=8), dataset)
    with pytest.raises(InputError, match="even sides"):
        render_dataset(RenderDatasetConfig(clips=1, width=65, height=48), tmp_path / "odd")
    with pytest.raises(InputError, match="--device is 'gpu'"):
        render_dataset(RenderDatasetConfig(clips=1, device="gpu"), tmp_path / "odd")
    with pytest.raises(InputError, match="--seed is -1"):
        RenderDatasetConfig(seed=-1)
    assert not (tmp_path / "odd").exists()


@pytest.mark.posix
def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    config = "RenderDatasetConfig(clips=5, width=64, height=48, frames=5, panorama_width=256, seed=3)"
    code = (
        "from pathlib import Path; from understudy.studio.scene.render_dataset import *; "
        f"render_dataset({config}, Path({str(broken)!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 120
    while len(finished_scenes(broken)) < 2 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = finished_scenes(broken)
    assert 2 <= len(kept) < 5
    stamps = {path: path.stat().st_mtime_ns for scene in kept for path in broken.rglob(f"{scene}*/*")}
    for scene in kept:
        read_scene_clip(broken, scene)
    settings = RenderDatasetConfig(clips=5, width=64, height=48, frames=5, panorama_width=256, seed=3)
    names = render_dataset(settings, broken)
    assert all(path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    assert render_dataset(settings, whole) == names
    files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(broken) for path in broken.rglob("*") if path.is_file())
    for scene in names:
        ours, theirs = read_scene_clip(broken, scene), read_scene_clip(whole, scene)
        assert (
            ours.words == theirs.words and (ours.mask == theirs.mask).all() and (ours.depth_m == theirs.depth_m).all()
        )
        assert (ours.video == theirs.video).all() and (ours.empty == theirs.empty).all()
