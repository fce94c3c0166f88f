"""Where the time of a training step goes, and how much of the device's matrix rate it uses.

    python -m benchmarks.video_models.training [--preset mini] [--device cpu] [--steps 8]

One process, one thread on a CPU (a training has a second one for its clips). The matrix rate is that of large bfloat16
products on the same device in the same run; the step's arithmetic is counted by PyTorch. The generator's share is what
rendering the clips of a step costs, each being used several times, against the step. Writes `results/training_*.json`.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.record import save, table
from understudy.synthetic.worlds.endless import EndlessClips
from understudy.videogen.encoders.scene_encoder import geometry_source
from understudy.videogen.training.feed import EndlessSource, TrainingClips, clip_sizes, joined, prepared
from understudy.videogen.training.learner import Learner
from understudy.videogen.training.optimisers import build_optimisers
from understudy.videogen.training.presets import PRESETS, Preset
from understudy.videogen.training.train import training_loss
from understudy.videogen.transformer.checkpoints import GeometryOrigin
from understudy.videogen.transformer.model import VideoTransformer

MATRIX = 2048
DEAREST = 8


def main() -> None:
    """Measure a preset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="mini")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args()
    if options.device == "cpu":
        torch.set_num_threads(1)
    figures = measure(PRESETS[options.preset], options.device, options.steps)
    print(table([{name: value for name, value in figures.items() if not isinstance(value, dict)}]))
    print(save(f"training_{options.preset}_{options.device}", figures))


def measure(preset: Preset, device: str, steps: int) -> dict:
    """Seconds of every part of a step, samples per second, and the share of the matrix rate."""
    geometry = geometry_source(GeometryOrigin("correlation"), device)
    config, training = replace(preset.model, geometry_channels=geometry.channels), preset.training
    sizes = clip_sizes(config, preset.pictures)
    source = EndlessSource(EndlessClips(0, sizes, device))
    render_s = best(lambda: source(1, training.batch), device, 3)
    batch = source(2, training.batch)
    prepare_s = best(lambda: prepared(batch, config, geometry), device, 3)
    clips = joined([prepared(batch, config, geometry)])
    clips = clips.frames(torch.arange(training.frames_per_step))
    model = VideoTransformer(config).to(device)
    if training.compile and device != "cpu":
        for block in model.blocks:
            block.compile()
    learner = Learner.begin(model, build_optimisers(model, training.muon_rate, training.adamw_rate))
    chance = torch.Generator(device).manual_seed(0)

    def learn(clips: TrainingClips) -> None:
        training_loss(model, config, clips, training, chance).backward()

    with FlopCounterMode(display=False) as counter:
        learn(clips)
    gradient_s = best(lambda: learn(clips), device, steps)
    optimiser_s = best(lambda: (learn(clips), learner.step(0.99))[1], device, steps) - gradient_s
    step_s = gradient_s + optimiser_s
    rate = matrix_rate(device)
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        learn(clips)
    operations = sorted(profiled.key_averages(), key=lambda entry: -entry.self_cpu_time_total)[:DEAREST]
    total = sum(entry.self_cpu_time_total for entry in profiled.key_averages())
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "gflop_per_sample": round(counter.get_total_flops() / training.batch / 1e9, 3),
        "matrix_gflop_per_s": round(rate / 1e9, 1),
        "samples_per_s": round(training.batch / step_s, 2),
        "share_of_matrix_rate": round(counter.get_total_flops() / step_s / rate, 3),
        "gradient_share": round(gradient_s / step_s, 3),
        "optimiser_share": round(optimiser_s / step_s, 3),
        "generator_s_per_step": round(render_s / training.reuse, 4),
        "generator_share_of_step": round(render_s / training.reuse / (step_s + render_s / training.reuse), 3),
        "scene_encoder_s_per_step": round(prepare_s / training.reuse, 4),
        "dearest_operations": {entry.key: round(entry.self_cpu_time_total / total, 3) for entry in operations},
    }


def matrix_rate(device: str) -> float:
    """Operations per second of large bfloat16 products."""
    a, b = (torch.randn(MATRIX, MATRIX, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * MATRIX**3 / best(lambda: a @ b, device, 5)


def best(work: Callable[[], object], device: str, rounds: int) -> float:
    """The shortest of several runs, after one to warm up; on a CPU in the process's own seconds."""
    on_cpu = device == "cpu"
    seconds = float("inf")
    for round_number in range(rounds + 1):
        if not on_cpu:
            torch.cuda.synchronize()
        start = time.process_time() if on_cpu else time.perf_counter()
        work()
        if not on_cpu:
            torch.cuda.synchronize()
        if round_number:
            seconds = min(seconds, (time.process_time() if on_cpu else time.perf_counter()) - start)
    return seconds


if __name__ == "__main__":
    main()
