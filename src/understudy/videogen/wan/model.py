"""CineScene's conditioning on Wan, a published video diffusion transformer.

The transformer is diffusers' own, with two kinds of part wrapped: its patch embedding, so that geometry tokens join the
tokens along the frames, and every block's self-attention, so that it is told the camera. At the start both leave the
published model's output as it is. Sources: CineScene (arXiv 2602.06959, section 3); ReCamMaster (Bai et al., ICCV 2025,
sections 3.2 and 3.3), from which the camera's layers are taken; Wan (arXiv 2503.20314).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import AutoTokenizer, PreTrainedTokenizerBase, UMT5EncoderModel

from understudy.runtime.errors import BackendUnavailable
from understudy.videogen.encoders.scene_encoder import GeometryProjection
from understudy.videogen.transformer.checkpoints import read_tensors
from understudy.videogen.transformer.conditioning import camera_numbers

__all__ = [
    "WAN_1_3B",
    "CineSceneWan",
    "Wan",
    "WanContext",
    "latent_cameras",
    "load_trained",
    "load_wan",
    "trained_weights",
    "weights_from_recammaster",
]

WAN_1_3B = "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"
FRAMES_PER_LATENT = 4
LONGEST_PROMPT = 512
"""Tokens."""

Training = Literal["full", "lora"]
"""Which weights are trained: all, or the new layers and low-rank changes of the attention's matrices."""


@dataclass(frozen=True)
class WanContext:
    """What a clip is told of its set."""

    pictures: Float[Tensor, "batch channel picture rows columns"]
    """I_t: each picture as a latent of its own; the first is the start view."""
    geometry: Float[Tensor, "batch picture place feature"] | None = None
    """F_t on the latents' grid, row by row, before its projection."""
    camera: Float[Tensor, "batch picture 12"] | None = None
    """Cameras of the pictures. CineScene tells none; ReCamMaster tells those of its source video."""


@dataclass
class Told:
    """What the wrapped parts are told of the batch at hand.

    They are called by diffusers' own code, which has no way to hand them more; it stays until the next batch, because
    gradient checkpointing calls them again while it goes back.
    """

    camera: Float[Tensor, "batch frame 12"] | None = None
    """Of the first frames; all others are told nothing."""
    frames: int = 0
    """Of the whole sequence, context included."""
    geometry: Float[Tensor, "batch picture patch width"] | None = None


class CameraAttention(nn.Module):
    """A block's self-attention, told the camera before and projected after.

    The camera's numbers are encoded and added to the normed and modulated input of attention, not to the residual
    stream.
    """

    def __init__(self, attention: nn.Module, width: int, told: Told) -> None:
        super().__init__()
        self.attention = attention
        self.cam_encoder = nn.Linear(12, width)
        self.projector = nn.Linear(width, width)
        self._told = told
        with torch.no_grad():
            for part in (self.cam_encoder.weight, self.cam_encoder.bias, self.projector.bias):
                part.zero_()
            self.projector.weight.copy_(torch.eye(width))

    def forward(
        self,
        hidden_states: Float[Tensor, "batch token width"],
        encoder_hidden_states: None = None,
        attention_mask: None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Float[Tensor, "batch token width"]:
        camera = self._told.camera
        if camera is not None:
            per_frame = hidden_states.shape[1] // self._told.frames
            added = self.cam_encoder(camera.to(self.cam_encoder.weight.dtype)).repeat_interleave(per_frame, 1)
            silent = hidden_states.shape[1] - added.shape[1]
            hidden_states = hidden_states + F.pad(added, (0, 0, 0, silent)).to(hidden_states.dtype)
        mixed = self.attention(hidden_states, encoder_hidden_states, attention_mask, rotary_emb)
        return self.projector(mixed)


class JoinedPatches(nn.Module):
    """The patch embedding, with geometry tokens in place of the last frames."""

    def __init__(self, patches: nn.Module, told: Told) -> None:
        super().__init__()
        self.patches = patches
        self._told = told

    def forward(
        self, latents: Float[Tensor, "batch channel frame rows columns"]
    ) -> Float[Tensor, "batch width frame patch_rows patch_columns"]:
        geometry = self._told.geometry
        if geometry is None:
            return self.patches(latents)
        tokens = self.patches(latents[:, :, : -geometry.shape[1]])
        joined = geometry.movedim(3, 1).unflatten(3, tokens.shape[-2:])
        return torch.cat([tokens, joined.to(tokens.dtype)], 2)


class LowRank(nn.Module):
    """A linear layer with a trained change of low rank; none at the start (Hu et al., LoRA, 2021)."""

    def __init__(self, base: nn.Linear, rank: int) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Linear(base.in_features, rank, bias=False)
        self.up = nn.Linear(rank, base.out_features, bias=False)
        nn.init.zeros_(self.up.weight)
        self.to(device=base.weight.device, dtype=base.weight.dtype)

    def forward(self, x: Float[Tensor, "*batch wide"]) -> Float[Tensor, "*batch out"]:
        return self.base(x) + self.up(self.down(x))


class CineSceneWan(nn.Module):
    """Wan, told a set and a camera path.

    Tokens of the noisy video, of the set's pictures (I_t) and of their geometry (F_t) are joined along the frames, over
    which the position code runs on; all attend to each other. Only the video's frames come out.
    """

    def __init__(
        self,
        transformer: WanTransformer3DModel,
        geometry_channels: int | None,
        training: Training = "full",
        rank: int = 32,
    ) -> None:
        """Wrap a transformer, which is changed. `geometry_channels`: of F_t; None for a model without it."""
        super().__init__()
        sizes: Any = transformer.config  # diffusers types it as a dict, and reads its entries as attributes
        width = sizes.num_attention_heads * sizes.attention_head_dim
        self._told = Told()
        self.transformer = transformer
        patches = JoinedPatches(transformer.patch_embedding, self._told)
        transformer.register_module("patch_embedding", patches)
        if training == "lora":
            transformer.requires_grad_(False)
        for block in transformer.blocks:
            own = block.get_submodule("attn1")
            if training == "lora":
                _make_low_rank(own, rank)
                _make_low_rank(block.get_submodule("attn2"), rank)
            block.register_module("attn1", CameraAttention(own, width, self._told))
        self.geometry = None if geometry_channels is None else GeometryProjection(geometry_channels, width)
        self.to(device=transformer.device, dtype=transformer.dtype)

    def forward(
        self,
        latents: Float[Tensor, "batch channel frame rows columns"],
        timestep: Float[Tensor, " batch"] | Int[Tensor, " batch"],
        words: Float[Tensor, "batch word text_width"],
        camera: Float[Tensor, "batch frame 12"] | None,
        context: WanContext | None = None,
    ) -> Float[Tensor, "batch channel frame rows columns"]:
        """The velocity noise − clean of the noisy video.

        Args:
            latents: of the video, normalised, at noise level `timestep` / 1000.
            words: encoded (`Wan.encode_words`).
            camera: 12 numbers per latent frame (`latent_cameras`); None: not told.
            context: the set; None: not told.

        Raises:
            ValueError: geometry for a model without it, or more frames than Wan has positions for.
        """
        frames, told = latents.shape[2], self._told
        sequence = latents if context is None else torch.cat([latents, context.pictures.to(latents.dtype)], 2)
        told.geometry = None
        if context is not None and context.geometry is not None:
            if self.geometry is None:
                raise ValueError(
                    "this model was built without geometry; build it with geometry_channels to tell it F_t"
                )
            geometry = told.geometry = self.geometry(context.geometry.to(latents.dtype), *latents.shape[-2:])
            # Frames of nothing keep the place of the geometry tokens, so that positions are counted over them.
            sequence = F.pad(sequence, (0, 0, 0, 0, 0, geometry.shape[1]))
        most = self.transformer.rope.max_seq_len
        if sequence.shape[2] > most:
            raise ValueError(f"video and context have {sequence.shape[2]} frames together; Wan counts up to {most}")
        told.frames = sequence.shape[2]
        told.camera = camera
        if camera is not None and context is not None and context.camera is not None:
            told.camera = torch.cat([camera, context.camera], 1)
        output = self.transformer(sequence, timestep, words, return_dict=False)[0]
        return output[:, :, :frames]


@dataclass(frozen=True)
class Wan:
    """The published parts, all from one folder."""

    transformer: WanTransformer3DModel
    vae: AutoencoderKLWan
    text_encoder: UMT5EncoderModel
    tokenizer: PreTrainedTokenizerBase

    @torch.no_grad()
    def encode_clip(
        self, video: Float[Tensor, "batch frame 3 height width"]
    ) -> Float[Tensor, "batch channel latent rows columns"]:
        """Normalised latents of clips (sRGB, −1 … 1) of 1 + 4k frames whose sides are multiples of 16."""
        mean, std = self._statistics()
        encoded: Any = self.vae.encode(video.transpose(1, 2).to(self.vae.dtype))
        raw = encoded.latent_dist.mode()
        return (raw - mean) / std

    def encode_pictures(
        self, pictures: Float[Tensor, "batch picture 3 height width"]
    ) -> Float[Tensor, "batch channel picture rows columns"]:
        """I_t: every picture as a clip of one frame."""
        latents = self.encode_clip(pictures.flatten(0, 1)[:, None])
        return latents[:, :, 0].unflatten(0, pictures.shape[:2]).transpose(1, 2)

    @torch.no_grad()
    def decode_clip(
        self, latents: Float[Tensor, "batch channel latent rows columns"]
    ) -> Float[Tensor, "batch frame 3 height width"]:
        """Clips (sRGB, −1 … 1) of normalised latents."""
        mean, std = self._statistics()
        video = self.vae.decode(latents.to(self.vae.dtype) * std + mean, return_dict=False)[0]
        return video.transpose(1, 2).clamp(-1, 1)

    @torch.no_grad()
    def encode_words(self, sentences: list[str]) -> Float[Tensor, "batch word text_width"]:
        """Encoded sentences; zeros follow their last word, as Wan was trained."""
        ids = self.tokenizer(
            sentences, padding="max_length", max_length=LONGEST_PROMPT, truncation=True, return_tensors="pt"
        ).to(self.text_encoder.device)
        encoded = self.text_encoder(ids.input_ids, ids.attention_mask).last_hidden_state
        return encoded * ids.attention_mask[..., None]

    def _statistics(self) -> tuple[Tensor, Tensor]:
        config: Any = self.vae.config
        like = next(self.vae.parameters())
        mean, std = (
            torch.tensor(values, device=like.device, dtype=like.dtype)[:, None, None, None]
            for values in (config.latents_mean, config.latents_std)
        )
        return mean, std


def load_wan(source: str | Path = WAN_1_3B, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Wan:
    """The published parts from a folder, or from the local cache of the Hugging Face hub; nothing is fetched.

    Only .safetensors files are read. The VAE stays float32: in half precision its pictures are visibly worse.

    Raises:
        BackendUnavailable: the files are not on this machine.
    """
    local: dict[str, Any] = {"local_files_only": True, "use_safetensors": True}
    try:
        transformer = WanTransformer3DModel.from_pretrained(source, subfolder="transformer", torch_dtype=dtype, **local)
        vae = AutoencoderKLWan.from_pretrained(source, subfolder="vae", torch_dtype=torch.float32, **local)
        text_encoder = UMT5EncoderModel.from_pretrained(source, subfolder="text_encoder", dtype=dtype, **local)
        tokenizer = AutoTokenizer.from_pretrained(source, subfolder="tokenizer", local_files_only=True)
    except (OSError, ValueError) as error:
        raise BackendUnavailable(
            f"Wan is not complete at {source} on this machine: fetch it once with `hf download {WAN_1_3B}`, or name a"
            " folder that holds transformer, vae, text_encoder and tokenizer"
        ) from error
    vae.requires_grad_(False)
    text_encoder.requires_grad_(False)
    for part in (transformer, vae, text_encoder):
        nn.Module.to(part, device)
    return Wan(transformer, vae.eval(), text_encoder.eval(), tokenizer)


def latent_cameras(T_start_camera: Float[Tensor, "batch frame 4 4"]) -> Float[Tensor, "batch latent 12"]:
    """The camera's numbers for each latent frame: that of every fourth frame (metres, relative to the first)."""
    return camera_numbers(T_start_camera[:, ::FRAMES_PER_LATENT])


def load_trained(path: Path, model: CineSceneWan) -> None:
    """Read trained weights (`trained_weights`) into a model built with the same settings.

    Raises:
        FileFormatError: the file is absent or damaged, or belongs to other settings.
    """
    trained = trained_weights(model)
    tensors = read_tensors(path, {name: tuple(tensor.shape) for name, tensor in trained.items()})
    with torch.no_grad():
        for name, tensor in tensors.items():
            trained[name].copy_(tensor)


def weights_from_recammaster(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the published ReCamMaster under the names of a CineSceneWan without geometry.

    It names its layers as Wan's own repository does; diffusers calls the norm before cross-attention norm2, not norm3.
    """
    return {_our_name(name): tensor for name, tensor in weights.items()}


def _our_name(name: str) -> str:
    for theirs, ours in _RENAMED:
        name = name.replace(theirs, ours)
    return f"transformer.{name}"


_RENAMED = (
    ("patch_embedding.", "patch_embedding.patches."),
    ("text_embedding.0.", "condition_embedder.text_embedder.linear_1."),
    ("text_embedding.2.", "condition_embedder.text_embedder.linear_2."),
    ("time_embedding.0.", "condition_embedder.time_embedder.linear_1."),
    ("time_embedding.2.", "condition_embedder.time_embedder.linear_2."),
    ("time_projection.1.", "condition_embedder.time_proj."),
    ("head.modulation", "scale_shift_table"),
    ("head.head.", "proj_out."),
    ("modulation", "scale_shift_table"),
    (".norm3.", ".norm2."),
    (".ffn.0.", ".ffn.net.0.proj."),
    (".ffn.2.", ".ffn.net.2."),
    (".cam_encoder.", ".attn1.cam_encoder."),
    (".projector.", ".attn1.projector."),
    (".self_attn.", ".attn1.attention."),
    (".cross_attn.", ".attn2."),
    (".q.", ".to_q."),
    (".k.", ".to_k."),
    (".v.", ".to_v."),
    (".o.", ".to_out.0."),
)


def trained_weights(model: CineSceneWan) -> dict[str, nn.Parameter]:
    """The weights that are trained, by name: all of them, or new layers and low-rank changes only."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _make_low_rank(attention: nn.Module, rank: int) -> None:
    for name in ("to_q", "to_k", "to_v"):
        setattr(attention, name, LowRank(getattr(attention, name), rank))
    out = attention.get_submodule("to_out")
    first = out.get_submodule("0")
    assert isinstance(first, nn.Linear)
    out.register_module("0", LowRank(first, rank))
