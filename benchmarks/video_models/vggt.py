"""How fast VGGT is here, and how much memory it takes, on any device.

    python -m benchmarks.video_models.vggt [--device cuda] [--sizes tiny large]

"tiny" is the size of the reference figures, "large" the published one (random weights). The published code is not
installed here. What can be compared in the same process is the picture encoder: transformers' DINOv2 with registers,
with the same weights and pictures. Each figure is the least of several runs; both sides take turns. Writes
`results/vggt.json`.
"""

import argparse
import time
from collections.abc import Callable
from itertools import accumulate

import torch
from torch.profiler import ProfilerActivity, profile
from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel

from benchmarks.record import save, table
from understudy.videogen.encoders.vggt.blocks import PictureEncoder
from understudy.videogen.encoders.vggt.heads import DenseHeadConfig
from understudy.videogen.encoders.vggt.model import VGGT, VggtConfig

SIZES = {
    "tiny": (
        VggtConfig(
            channels=64, layers=4, heads=4, encoder_layers=2, encoder_heads=4, head_layers=(0, 1, 2, 3),
            dense=DenseHeadConfig(features=32, level_channels=(16, 32, 64, 64)),
        ),
        (3, 84, 84),
    ),
    "large": (VggtConfig(), (20, 294, 518)),
}  # fmt: skip
"""Configuration; pictures, height and width in pixels."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--sizes", nargs="*", default=["tiny"], choices=list(SIZES))
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    rows = [measure(name, torch.device(options.device), options.runs) for name in options.sizes]
    print(table(rows))
    name = torch.cuda.get_device_name() if options.device.startswith("cuda") else "cpu"
    print(save("vggt", {"device": name, "threads": torch.get_num_threads(), "sizes": rows}))


@torch.inference_mode()
def measure(name: str, device: torch.device, runs: int) -> dict:
    """Seconds of the parts of one size; on a GPU in bfloat16, as the published figures are."""
    config, (count, height, width) = SIZES[name]
    torch.manual_seed(0)
    with device:
        model = VGGT(config).eval()
        pictures = torch.rand(1, count, 3, height, width)
    theirs = same_encoder(model.aggregator.patch_embed, config).to(device)
    half = device.type == "cuda"
    flat = pictures.flatten(0, 1)

    def ours_encoder() -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            return model.aggregator.patch_embed(flat)

    def their_encoder() -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            tokens = theirs(flat).last_hidden_state
        return tokens[:, 1 + config.registers :]

    difference = (ours_encoder().float() - their_encoder().float()).abs().max() / their_encoder().abs().max()
    encoder_s, reference_s = best_of([ours_encoder, their_encoder], device, runs)
    encoder_mb, reference_mb = (peak_mb(run, device) for run in (ours_encoder, their_encoder))
    if half:
        model.with_bfloat16_matrices()
    tokens_s, whole_s = best_of([lambda: model.last_tokens(pictures), lambda: model(pictures)], device, runs)
    return {
        "size": name,
        "pictures": f"{count} × {height}×{width}",
        "encoder_ms": 1e3 * encoder_s,
        "encoder_reference_ms": 1e3 * reference_s,
        "encoder_time_ratio": encoder_s / reference_s,
        "encoder_memory_ratio": encoder_mb / reference_mb,
        "encoder_relative_difference": float(difference),
        "last_tokens_ms": 1e3 * tokens_s,
        "all_heads_ms": 1e3 * whole_s,
        "last_tokens_peak_mb": peak_mb(lambda: model.last_tokens(pictures), device),
    }


def same_encoder(ours: PictureEncoder, config: VggtConfig) -> Dinov2WithRegistersModel:
    """transformers' encoder with our weights."""
    theirs = Dinov2WithRegistersModel(
        Dinov2WithRegistersConfig(
            hidden_size=config.channels, num_hidden_layers=config.encoder_layers,
            num_attention_heads=config.encoder_heads, image_size=config.size_px, patch_size=config.patch_px,
            num_register_tokens=config.registers, layer_norm_eps=1e-6, qkv_bias=True,
        )
    ).eval()  # fmt: skip
    weights = {}
    for name, value in ours.state_dict().items():
        if ".attn.qkv." in name:
            block, _, kind = name.removeprefix("blocks.").partition(".attn.qkv.")
            for part, piece in zip(("q_proj", "k_proj", "v_proj"), value.chunk(3), strict=True):
                weights[f"encoder.layer.{block}.attention.{part}.{kind}"] = piece
        else:
            weights[their_name(name)] = value
    theirs.load_state_dict(weights, strict=True)
    return theirs


def their_name(name: str) -> str:
    """transformers' name of a tensor."""
    for mine, other in {
        "cls_token": "embeddings.cls_token", "pos_embed": "embeddings.position_embeddings",
        "register_tokens": "embeddings.register_tokens", "mask_token": "embeddings.mask_token",
        "patch_embed.proj.": "embeddings.patch_embeddings.projection.", "blocks.": "encoder.layer.",
        ".attn.proj.": ".attention.o_proj.", ".ls1.gamma": ".layer_scale1.lambda1",
        ".ls2.gamma": ".layer_scale2.lambda1",
    }.items():  # fmt: skip
        name = name.replace(mine, other)
    return f"layernorm.{name.removeprefix('norm.')}" if name.startswith("norm.") else name


def best_of(functions: list[Callable[[], object]], device: torch.device, runs: int) -> list[float]:
    """The least seconds of each, taking turns so that a busy machine disturbs all alike."""
    times: list[list[float]] = [[] for _ in functions]
    for turn in range(runs + 2):
        for function, taken in zip(functions, times, strict=True):
            synchronise(device)
            started = time.perf_counter()
            function()
            synchronise(device)
            if turn >= 2:
                taken.append(time.perf_counter() - started)
    return [min(taken) for taken in times]


def peak_mb(function: Callable[[], object], device: torch.device) -> float:
    """The most memory that tensors take beyond what is held before."""
    if device.type != "cuda":
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
            function()
        events = profiled.profiler.kineto_results.events()
        changes = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
        return max(accumulate(nbytes for _, nbytes in changes)) / 2**20
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    function()
    synchronise(device)
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def synchronise(device: torch.device) -> None:
    """Wait until the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
