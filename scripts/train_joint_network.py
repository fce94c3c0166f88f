"""Trains the network that finds joints of stylised figures, on random figures (scripts/random_figures.py).

    PYTHONPATH=src:scripts python scripts/train_joint_network.py \\
        src/understudy/characters/picture/joint_network.safetensors

Needs PyTorch (the extra `scene`). One core, --steps batches of 48; every hundred steps it writes the moving average of
the weights, batch normalisation folded into the convolutions, in half precision. The file in the package is that of
step 2000 of 5000, after 8 minutes of one core.
"""

import argparse
import itertools
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from random_figures import random_figure
from safetensors.numpy import save_file
from torch import nn

from understudy.characters.picture.joint_network import HEAT_PX, network_input, square_around
from understudy.characters.picture.joints import POINTS

BATCH = 48
NEW = 12
"""Figures made anew for each batch; the others were made before, and get new colours and light."""
POOL = 12_000
WIDTHS = (16, 32, 64, 96, 128)
"""Of layers at 32 (twice), 16, 8 and 4 cells; the first are the 4 inputs of 2 × 2 cells each."""
MOMENTUM = 0.1
"""Of the running statistics of batch normalisation."""
MIRRORED = np.array([
    POINTS.index(n.replace("left", "RIGHT").replace("right", "left").replace("RIGHT", "right")) for n in POINTS
])  # fmt: skip


class Unit(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, momentum=MOMENTUM)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.norm(self.conv(x)))


class JointNetwork(nn.Module):
    """Down to 4 × 4 cells and up again to 32 × 32, sums across (a U-Net); 20 heat maps."""

    def __init__(self) -> None:
        super().__init__()
        steps = list(itertools.pairwise(WIDTHS))
        self.down = nn.ModuleList(Unit(a, b, stride=1 if a == WIDTHS[0] else 2) for a, b in steps)
        self.same = nn.ModuleList(Unit(width, width) for width in WIDTHS[1:])
        self.deep = Unit(WIDTHS[-1], WIDTHS[-1])
        self.lift = nn.ModuleList(Unit(b, a, 1) for a, b in itertools.pairwise(WIDTHS[1:]))
        self.merge = nn.ModuleList(Unit(width, width) for width in WIDTHS[1:-1])
        self.heat = nn.Conv2d(WIDTHS[1], len(POINTS), 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x, kept = nn.functional.pixel_unshuffle(x, 2), []
        for down, same in zip(self.down, self.same, strict=True):
            x = down(x)
            x = x + same(x)
            kept.append(x)
        x = x + self.deep(x)
        for lift, merge, skip in list(zip(self.lift, self.merge, kept, strict=False))[::-1]:
            x = nn.functional.interpolate(lift(x), scale_factor=2.0) + skip
            x = x + merge(x)
        return self.heat(x)


def sample(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A flat picture of one figure as the network sees it, and its points in cells of the heat maps."""
    while True:
        rgb, figure, points = random_figure(rng)
        corner, side = square_around(figure)
        cells = (points - corner) / side * HEAT_PX
        if cells.min() > 0.5 and cells.max() < HEAT_PX - 0.5:
            return network_input(rgb, figure).astype(np.float16), cells.astype(np.float32)


def varied(flat: np.ndarray, cells: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """In another light, sometimes in other colours, as an outline alone, or mirrored."""
    coverage, rgb = flat[..., 0].astype(np.float32), flat[..., 1:].astype(np.float32)
    if rng.random() < 0.3:
        rgb = np.zeros_like(rgb)
    else:
        if rng.random() < 0.5:
            rgb = np.clip((rgb - 0.5) @ rng.normal(0, 0.6, (3, 3)).astype(np.float32) + rng.uniform(0.2, 0.8, 3), 0, 1)
        rgb = centred(shaded(rgb.astype(np.float32), coverage, rng), coverage)
    x = np.concatenate([coverage[None], rgb.transpose(2, 0, 1)])
    if rng.random() < 0.5:
        mirrored = cells[MIRRORED].copy()
        mirrored[:, 0] = HEAT_PX - mirrored[:, 0]
        return x[:, :, ::-1].copy(), mirrored
    return x, cells


def shaded(rgb: np.ndarray, coverage: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light from somewhere, darker towards the outline, stripes, grain; 0 … 1."""
    size = len(rgb)
    y, x = np.mgrid[:size, :size] / size - 0.5
    light = 1 + rng.normal(0, 0.4) * x + rng.normal(0, 0.4) * y
    if rng.random() < 0.6:
        edge = cv2.distanceTransform((coverage > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
        light = light * (1 - rng.uniform(0, 0.6) * np.exp(-edge / rng.uniform(0.5, 6)))
    if rng.random() < 0.15:
        light = light * (1 + rng.uniform(0, 0.3) * np.sign(np.sin(rng.uniform(20, 120) * (y + rng.normal() * x))))
    grain = rng.standard_normal(rgb.shape, np.float32) * rng.uniform(0, 0.05)
    return np.clip(rgb * light[..., None] + grain, 0, 1).astype(np.float32)


def centred(rgb: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """Colour minus the figure's mean, 0 outside."""
    mean = (rgb * coverage[..., None]).sum((0, 1)) / max(float(coverage.sum()), 1.0)
    return ((rgb - mean) * coverage[..., None]).astype(np.float32)


def loss_of(heat: torch.Tensor, cells: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Distance of the heat maps' means from the truth, and its likelihood under their spread (a Laplace density)."""
    share = torch.softmax(heat.flatten(2), -1).reshape(heat.shape)
    at = torch.arange(HEAT_PX) + 0.5
    across, downwards = share.sum(2), share.sum(3)
    mean = torch.stack([across @ at, downwards @ at], -1)
    spread = torch.stack([across @ at**2, downwards @ at**2], -1) - mean**2
    distance = torch.linalg.norm(mean - cells, dim=-1)
    b = torch.sqrt(spread.sum(-1).clamp(min=0) + 0.01)
    return (distance + 0.5 * (distance / b + torch.log(b))).mean(), distance.detach()


def folded(model: JointNetwork) -> dict[str, np.ndarray]:
    """Weights and biases of all convolutions, batch normalisation within."""
    arrays = {}
    for name, part in model.named_modules():
        if isinstance(part, Unit):
            gain = part.norm.weight / torch.sqrt(part.norm.running_var + part.norm.eps)
            arrays[f"{name}.weight"] = part.conv.weight * gain[:, None, None, None]
            arrays[f"{name}.bias"] = part.norm.bias - part.norm.running_mean * gain
    arrays |= {"heat.weight": model.heat.weight, "heat.bias": model.heat.bias}
    # save_file writes an array's memory as it lies, whatever its strides.
    return {name: np.ascontiguousarray(value.detach().numpy(), np.float16) for name, value in arrays.items()}


def settle(model: JointNetwork, pool: list, rng: np.random.Generator) -> None:
    """Measure the statistics of batch normalisation anew: while weights move fast, their running means lag behind."""
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        for _ in range(8):
            x = [varied(*pool[index], rng)[0] for index in rng.integers(len(pool), size=BATCH)]
            model(torch.from_numpy(np.stack(x)))
    for norm in norms:
        norm.momentum = MOMENTUM


def main() -> None:
    """Train and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(options.seed)
    model = JointNetwork().to(memory_format=torch.channels_last)
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998))
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=options.steps, pct_start=0.08)
    pool = [sample(rng) for _ in range(6 * BATCH)]
    recent, started = [], time.perf_counter()
    for step in range(options.steps):
        fresh = [sample(rng) for _ in range(NEW)]
        pool = (pool + fresh)[-POOL:]
        chosen = fresh + [pool[index] for index in rng.integers(len(pool), size=BATCH - NEW)]
        x, cells = zip(*(varied(flat, at, rng) for flat, at in chosen), strict=True)
        batch = torch.from_numpy(np.stack(x)).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            heat = model(batch)
        loss, distance = loss_of(heat.float(), torch.from_numpy(np.stack(cells).astype(np.float32)))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(model)
        recent.append(float(distance[:NEW].mean()) / HEAT_PX * 100)
        if step % 25 == 24:
            print(
                step + 1,
                f"{np.mean(recent[-100:]):.2f} % of the square",
                f"{time.perf_counter() - started:.0f} s",
                f"{time.process_time():.0f} CPU s",
                flush=True,
            )
        if step % 100 == 99 or step + 1 == options.steps:
            settle(average.module, pool, rng)
            save_file(folded(average.module), options.out)


if __name__ == "__main__":
    main()
