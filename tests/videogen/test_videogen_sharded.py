"""Sharded weights (FSDP2) on two processes: the same losses as on one, and training goes on exactly."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from random_clips import RandomClips

from understudy.videogen.training.feed import prepared
from understudy.videogen.training.learner import ON_ALL, Learner, averaged_weights
from understudy.videogen.training.optimisers import build_optimisers
from understudy.videogen.training.presets import PRESETS
from understudy.videogen.training.train import training_loss
from understudy.videogen.transformer.checkpoints import GeometryOrigin, read_training_state, write_checkpoint
from understudy.videogen.transformer.conditioning import OracleGeometry
from understudy.videogen.transformer.model import VideoTransformer

TINY = PRESETS["tiny"]


def begun(sharded: bool) -> Learner:
    """As `train` prepares it."""
    torch.manual_seed(0)
    model = VideoTransformer(TINY.model)
    if sharded:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh("cpu", (2,))
        for block in model.blocks:
            fully_shard(block, mesh=mesh)
        fully_shard(model, mesh=mesh)
    return Learner.begin(model, build_optimisers(model, 0.02, 1e-3))


def losses(learner: Learner, steps: range) -> list[float]:
    clips = prepared(RandomClips()(0, 2), TINY.model, OracleGeometry())
    found = []
    for step in steps:
        chance = torch.Generator().manual_seed(step)
        loss = training_loss(learner.model, TINY.model, clips, TINY.training, chance)
        loss.backward()
        learner.step(decay=0.9)
        found.append(float(loss.detach()))
    return found


def compare(folder: Path) -> None:
    """What each of the two processes does."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    sharded, whole = begun(True), begun(False)
    assert losses(sharded, range(6)) == pytest.approx(losses(whole, range(6)), rel=1e-4)
    state = sharded.state()
    if torch.distributed.get_rank() == 0:
        write_checkpoint(folder, 6, TINY.model, averaged_weights(state), state, {}, GeometryOrigin("oracle"))
    torch.distributed.barrier()
    unbroken = losses(sharded, range(6, 9))
    again = begun(True)
    shapes = {name: tuple(tensor.shape) for name, tensor in again.state(ON_ALL).items()}
    again.restore(read_training_state(folder / "step_00000006", shapes))
    assert losses(again, range(6, 9)) == unbroken
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_sharded_training_is_training(tmp_path):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run([*launch, __file__, str(tmp_path)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


if __name__ == "__main__":
    compare(Path(sys.argv[1]))
