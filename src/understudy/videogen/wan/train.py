"""Training of Wan under CineScene's conditions: one visible loop that goes on exactly where it was cut off.

Rectified flow as Wan was trained: at noise level t its latents are (1 − t) · clean + t · noise, t is drawn with a shift
towards much noise, the network is told 1000 t and answers noise − clean. All chance of a step comes from the seed and
the step's number, the clips of a step from its number. Sources: CineScene (arXiv 2602.06959, section 3); Wan (arXiv
2503.20314); Esser et al. 2024, Scaling rectified flow transformers (shift).
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import AdamW

from understudy.diffusion.schedule import noised
from understudy.runtime.errors import InputError
from understudy.runtime.progress import Progress, silent
from understudy.videogen.encoders.scene_encoder import SceneEncoder
from understudy.videogen.training.curves import Curves
from understudy.videogen.training.feed import ClipSource
from understudy.videogen.training.learner import Learner, averaged_weights, resume
from understudy.videogen.training.optimisers import learning_rate_share, set_learning_rates
from understudy.videogen.training.train import ENDLESS, TrainingReport
from understudy.videogen.transformer.checkpoints import WAN_JSON, write_document, write_resumable, write_tensors
from understudy.videogen.transformer.conditioning import CONDITIONS
from understudy.videogen.wan.conditions import PX_PER_LATENT, WanConditions, conditions_of, fitted, velocity_of
from understudy.videogen.wan.model import FRAMES_PER_LATENT, WAN_1_3B, CineSceneWan, Training, Wan

__all__ = [
    "WAN_FORMAT",
    "WAN_TRAINING",
    "WAN_WEIGHTS",
    "WanClips",
    "WanOrigin",
    "WanTrainingConfig",
    "train_wan",
    "wan_loss",
]

WAN_FORMAT = "understudy wan model 1"
WAN_WEIGHTS = "trained.safetensors"
SIDE_MULTIPLE_PX = 2 * PX_PER_LATENT
"""The transformer makes 2 × 2 places one token."""
AVERAGE_DECAY = 0.998
"""Of the moving average of the trained weights, which is what films."""
LARGEST = {"frames": 321, "height": 2160, "width": 3840, "pictures": 256, "rank": 1024}
"""Settings beyond these are a damaged file, not a training."""


@dataclass(frozen=True)
class WanTrainingConfig:
    """How Wan is trained, and the clips that it learns to film."""

    steps: int
    batch: int
    """Clips a step, on each device."""
    frames: int
    """Of a clip, 1 + 4k."""
    height: int
    """Of clips and pictures, in pixels, as is the width: multiples of 16."""
    width: int
    pictures: int
    """Of the set, evenly around the start view."""
    training: Training = "lora"
    rank: int = 32
    learning_rate: float = 1e-4
    warm_up_steps: int = 200
    drop_probability: tuple[float, float, float] = (0.1, 0.1, 0.1)
    """That words, set or camera of a clip are not told."""
    shift: float = 5.0
    """Of the noise levels; above 1: more of them where there is much noise."""
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    """Of the network's products; weights are float32."""
    gradient_checkpointing: bool = True
    seed: int = 0
    log_every: int = 10
    checkpoint_every: int = 250

    def __post_init__(self) -> None:
        if self.frames % FRAMES_PER_LATENT != 1:
            raise InputError(f"Wan films 1 + 4k frames; got {self.frames}: take {self.frames // 4 * 4 + 1}")
        if self.height % SIDE_MULTIPLE_PX or self.width % SIDE_MULTIPLE_PX:
            raise InputError(f"Wan's pictures have sides of multiples of 16 pixels; got {self.width}×{self.height}")
        for name, largest in LARGEST.items():
            if not 1 <= getattr(self, name) <= largest:
                raise InputError(f"{name} of a Wan training is {getattr(self, name)}; expected 1 to {largest}")

    @property
    def latents(self) -> tuple[int, int, int]:
        """Frames, rows and columns of a clip's latents."""
        return 1 + self.frames // FRAMES_PER_LATENT, self.height // PX_PER_LATENT, self.width // PX_PER_LATENT


WAN_TRAINING = WanTrainingConfig(steps=10_000, batch=1, frames=77, height=384, width=672, pictures=20)
"""The preset wan-1.3b: clips as CineScene films them; one GPU of 80 GB, or many."""


@dataclass(frozen=True)
class WanOrigin:
    """What the trained weights must be put together with to film."""

    weights: str = WAN_1_3B
    """Wan itself: a folder, or its name on the Hugging Face hub."""
    encoder: str | None = None
    """A name of `scene_encoder.SCENE_ENCODERS`; None: no geometry."""


@dataclass(frozen=True)
class WanClips:
    """Clips to learn from, and what Wan is told about them."""

    latents: Float[Tensor, "batch channel latent rows columns"]
    conditions: WanConditions


def train_wan(
    run: Path,
    wan: Wan,
    config: WanTrainingConfig,
    source: ClipSource,
    encoder: SceneEncoder | None = None,
    origin: WanOrigin = WanOrigin(),
    data: str = ENDLESS,
    time_limit_s: float = float("inf"),
    progress: Progress = silent,
) -> TrainingReport:
    """Train in the folder `run`, from its last checkpoint if it has one, until done or out of time.

    Start it with `accelerate launch` for many devices. `wan` and `encoder` are on the device that trains; Wan's
    transformer is changed. `source` gives clips of the configured size, and pictures of any; `origin` and `data` say in
    the checkpoint what `wan`, `encoder` and `source` are.

    Raises:
        InputError: the folder holds a training of another configuration, or clips are of another size.
        UnderstudyError: the loss is no longer finite.
    """
    accelerator = Accelerator()
    run.mkdir(parents=True, exist_ok=True)
    learner = _begin(accelerator, wan, config, encoder)
    facts = {"wan": asdict(config), "devices": accelerator.num_processes, "data": data}
    first = resume(run, learner, facts)
    checkpoints = _Checkpoints(run, config, origin, None if encoder is None else encoder.channels, facts)

    rank, device = accelerator.process_index, accelerator.device
    curves = Curves(run / "curves.jsonl", first, config.steps, config.batch * accelerator.num_processes)
    step, loss = first, torch.tensor(float("nan"))
    for step in range(first + 1, config.steps + 1):
        chance = torch.Generator().manual_seed((config.seed * 1_000_003 + step) * 4096 + rank)
        with curves.waiting():
            clips = _clips_of_step(wan, config, source, encoder, (rank << 32) + step - 1, chance, device)

        set_learning_rates(learner.optimisers, learning_rate_share(step - 1, config.steps, config.warm_up_steps, 0.0))
        loss = wan_loss(learner.model, clips, config, chance)
        accelerator.backward(loss)
        learner.step(decay=min(AVERAGE_DECAY, step / (step + 9)))
        loss = loss.detach()

        done = curves.after_step(accelerator, step, loss, config.log_every, time_limit_s, progress)
        if step % config.checkpoint_every == 0 or done:
            checkpoints.write(accelerator, step, learner)
        if done:
            break
    return TrainingReport(step, config.steps, float(loss), curves.samples_per_s(step), curves.waited_share)


def wan_loss(
    model: nn.Module, clips: WanClips, config: WanTrainingConfig, chance: torch.Generator
) -> Float[Tensor, ""]:
    """The mean squared error of noise − clean at noise levels drawn by chance (a generator on the CPU)."""
    clean = clips.latents
    drawn = torch.rand(len(clean), generator=chance)
    level = (config.shift * drawn / (1 + (config.shift - 1) * drawn)).to(clean.device)
    noise = torch.randn(clean.shape, generator=chance).to(clean.device)
    noisy = noised(clean, noise, 1 - level)
    return F.mse_loss(velocity_of(model, noisy, level, clips.conditions, config.precision == "bfloat16"), noise - clean)


@dataclass(frozen=True)
class _Checkpoints:
    """Writes a run's checkpoints: the averaged weights to film with, and everything that training goes on from."""

    run: Path
    config: WanTrainingConfig
    origin: WanOrigin
    geometry_channels: int | None
    facts: dict[str, Any]

    def write(self, accelerator: Accelerator, step: int, learner: Learner) -> None:
        """Every process takes part, because copies of the weights may be gathered."""
        state = learner.state()
        document = {
            "format": WAN_FORMAT, "step": step, "origin": asdict(self.origin),
            "geometry_channels": self.geometry_channels, "training": asdict(self.config),
        }  # fmt: skip

        def save(folder: Path) -> None:
            write_tensors(folder / WAN_WEIGHTS, averaged_weights(state))
            write_document(folder / WAN_JSON, document)

        if accelerator.is_main_process:
            write_resumable(self.run, step, save, state, self.facts)
        accelerator.wait_for_everyone()


def _begin(accelerator: Accelerator, wan: Wan, config: WanTrainingConfig, encoder: SceneEncoder | None) -> Learner:
    """The model before its first step, the same on every device."""
    torch.manual_seed(config.seed)
    channels = None if encoder is None else encoder.channels
    model = CineSceneWan(wan.transformer.float(), channels, config.training, config.rank).train()
    if config.gradient_checkpointing:
        model.transformer.enable_gradient_checkpointing()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    rates = {"lr": config.learning_rate, "full_rate": config.learning_rate}
    model, optimiser = accelerator.prepare(model, AdamW([{"params": trained, **rates}], weight_decay=0.0))
    return Learner.begin(model, [optimiser])


@torch.no_grad()
def _clips_of_step(
    wan: Wan,
    config: WanTrainingConfig,
    source: ClipSource,
    encoder: SceneEncoder | None,
    number: int,
    chance: torch.Generator,
    device: torch.device,
) -> WanClips:
    """The clips of a number, encoded; pictures shuffled, with their geometry, and conditions dropped by chance."""
    batch = source(number, config.batch).shuffled(chance).to(device)
    frames, _, height, width = batch.video.shape[1:]
    if (frames, height, width) != (config.frames, config.height, config.width):
        raise InputError(
            f"this training takes clips of {config.frames} frames of {config.width}×{config.height} pixels; got"
            f" {frames} of {width}×{height}"
        )
    pictures = fitted(batch.context.flatten(0, 1), height, width).unflatten(0, batch.context.shape[:2])
    latents = torch.cat([wan.encode_clip(video[None]) for video in batch.video])
    conditions = conditions_of(wan, encoder, pictures, batch.T_start_camera, batch.words)
    absent = torch.rand((len(latents), len(CONDITIONS)), generator=chance) < torch.tensor(config.drop_probability)
    return WanClips(latents, conditions.without(absent))
