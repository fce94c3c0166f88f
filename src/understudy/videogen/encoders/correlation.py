"""The small scene encoder: of VGGT's class, with a pairwise correlation of the pictures before its attention.

Camera and patch tokens pass through alternating frame and global attention, as in VGGT (Wang et al., CVPR 2025). Plain
alternating attention of this size learns depth but not where pictures look; so each pair of pictures is correlated
first, the rotations that follow are synchronised, and every token starts with the ray that it looks along.
"""

import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from understudy.runtime.errors import FileFormatError
from understudy.videogen.encoders.alignment import align_rotations
from understudy.videogen.encoders.matching import (
    Matches,
    cell_directions,
    pairs_of,
    rotation_about,
    rotations_of_pairs,
    synchronise,
    yaw_votes,
)
from understudy.videogen.encoders.vggt.blocks import Block, grid_rotation
from understudy.videogen.transformer.checkpoints import read_tensors, write_tensors

__all__ = [
    "CorrelationEncoder",
    "EncodedSet",
    "EncoderConfig",
    "load_correlation_encoder",
    "save_correlation_encoder",
]

RAY_WAVES = (1.0, 2.0, 4.0, 8.0)
"""Radians per unit of direction."""
DEEPEST_M = 100.0
"""The sky and everything beyond."""
TYPICAL_DEPTH_M = 5.0
LARGEST_SIZE = 4096


@dataclass(frozen=True)
class EncoderConfig:
    """Sizes, and the pictures it takes."""

    size_px: int = 48
    """Side of its square pictures; others are resized."""
    patch_px: int = 8
    cell_px: int = 4
    """Side of the cells that are correlated."""
    channels: int = 128
    layers: int = 3
    """Pairs of a frame block and a global block."""
    heads: int = 2
    feature_channels: int = 64
    field_of_view_deg: float = 90.0

    def __post_init__(self) -> None:
        if self.patch_px % self.cell_px or self.size_px % self.patch_px or self.channels % (4 * self.heads):
            raise ValueError(
                f"pictures of {self.size_px} px need whole patches (got {self.patch_px} px), patches whole cells (got"
                f" {self.cell_px} px), and {self.channels} channels whole heads (got {self.heads}) of a multiple of 4"
            )
        if not 1 <= self.field_of_view_deg <= 170:
            raise ValueError(f"a field of view is 1 … 170 degrees; got {self.field_of_view_deg}")

    @property
    def side(self) -> int:
        """Patches along a side of a picture."""
        return self.size_px // self.patch_px

    @property
    def cells(self) -> int:
        """Correlated cells along a side of a picture."""
        return self.size_px // self.cell_px

    @property
    def half_width(self) -> float:
        """Tangent of half the field of view."""
        return math.tan(math.radians(self.field_of_view_deg) / 2)

    def intrinsics(self, rows: int, columns: int) -> Float[Tensor, "3 3"]:
        """K of the whole picture cut into rows × columns, in units of those patches."""
        focal = 0.5 / self.half_width
        return torch.tensor([[columns * focal, 0, columns / 2], [0, rows * focal, rows / 2], [0, 0, 1.0]])

    def resized(
        self, pictures: Float[Tensor, "batch picture 3 height width"]
    ) -> Float[Tensor, "batch picture 3 size size"]:
        """Pictures at the size that the encoder takes.

        Raises:
            ValueError: they are not square.
        """
        height, width = pictures.shape[-2:]
        if height != width:
            raise ValueError(f"the scene encoder takes square pictures; got {width}×{height}: crop them")
        if height == self.size_px:
            return pictures
        size = (self.size_px, self.size_px)
        resized = F.interpolate(pictures.flatten(0, 1), size=size, mode="bilinear", antialias=True)
        return resized.unflatten(0, pictures.shape[:2])


@dataclass(frozen=True)
class EncodedSet:
    """What the encoder sees in the pictures of a set."""

    patch_tokens: Float[Tensor, "batch picture token channel"]
    """Of the last layer: the frame block's beside the global block's, normalised."""
    camera_tokens: Float[Tensor, "batch picture channel"]
    R_start_picture: Float[Tensor, "batch picture 3 3"]
    """Each picture's camera to the first one's; all stand in one place."""
    depth_m: Float[Tensor, "batch picture size size"]
    """Along each camera's +Z; the sky is 100 m."""
    matches: Matches
    held: Float[Tensor, "batch picture"]
    """How well each picture is tied to the first by its correlations, 0 … 1."""


class Residual(nn.Module):
    """Two convolutions beside a skip path."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch channel height width"]:
        return x + self.conv2(F.gelu(self.conv1(F.gelu(self.norm(x)))))


class CorrelationEncoder(nn.Module):
    """Pictures of one place, the first of which is the world, to tokens, rotations and depth."""

    directions: Tensor
    votes: Tensor
    patch_directions: Tensor

    def __init__(self, config: EncoderConfig = EncoderConfig()) -> None:
        super().__init__()
        self.config = config
        features, channels = config.feature_channels, config.channels
        self.see = nn.Sequential(
            nn.Conv2d(3, 32, 4, 2, 1), nn.GELU(),
            nn.Conv2d(32, features, config.cell_px // 2 + 2, config.cell_px // 2, 1),
            Residual(features), Residual(features),
        )  # fmt: skip
        self.match = nn.Conv2d(features, features, 1)
        self.sharpness = nn.Parameter(torch.tensor(math.log(10.0)))
        self.no_match = nn.Parameter(torch.tensor(3.0))
        self.vote_gain = nn.Parameter(torch.tensor(math.log(0.1)))
        self.no_overlap = nn.Parameter(torch.tensor(1.0))
        ratio = config.patch_px // config.cell_px
        self.patch = nn.Conv2d(features, channels, ratio, ratio)
        self.ray = nn.Linear(3 + 6 * len(RAY_WAVES) + 1, channels)
        self.camera = nn.Linear(9 + 1, channels)
        self.camera_token = nn.Parameter(torch.randn(2, channels) * 0.02)
        self.frame_blocks = nn.ModuleList(self._block() for _ in range(config.layers))
        self.global_blocks = nn.ModuleList(self._block() for _ in range(config.layers))
        self.norm = nn.LayerNorm(2 * channels, elementwise_affine=False)
        self.turn = nn.Linear(2 * channels, 3)
        self.depth = nn.Linear(2 * channels, config.patch_px**2)
        for head in (self.turn, self.depth):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)
        self.register_buffer("directions", cell_directions(config.cells, config.half_width), persistent=False)
        self.register_buffer("votes", yaw_votes(config.cells, config.half_width), persistent=False)
        self.register_buffer("patch_directions", cell_directions(config.side, config.half_width), persistent=False)

    def _block(self) -> Block:
        return Block(self.config.channels, self.config.heads, norm_queries=True, scale_start=0.3)

    def forward(self, pictures: Float[Tensor, "batch picture 3 size size"]) -> EncodedSet:
        """See pictures of the configured size together (sRGB, −1 … 1, square, one place, first is the start view).

        After training, the rotations are refined on the pictures themselves.
        """
        count, config = pictures.shape[1], self.config
        features = self.see(pictures.flatten(0, 1))
        matches = self._matches(features, count)
        with torch.autocast(features.device.type, enabled=False):  # angles need more digits than bfloat16 has
            R_start_picture, held = synchronise(*rotations_of_pairs(matches, self.directions), count)
        tokens = self._tokens(self.patch(features), R_start_picture, held)
        last = self.norm(self._alternate(tokens, count)).unflatten(0, (-1, count))
        camera, patches = last[:, :, 0], last[:, :, 1:]
        turn = F.pad(self.turn(camera[:, 1:]).float(), (0, 0, 1, 0))  # the first picture is the world
        log_depth = self.depth(patches).float().flatten(0, 1).mT.unflatten(2, (config.side, config.side))
        log_depth = F.pixel_shuffle(log_depth, config.patch_px)[:, 0].unflatten(0, (-1, count))
        depth_m = TYPICAL_DEPTH_M * log_depth.clamp(max=math.log(2 * DEEPEST_M / TYPICAL_DEPTH_M)).exp()
        with torch.autocast(features.device.type, enabled=False):
            R_start_picture = R_start_picture @ rotation_about(turn)
            if not self.training:
                R_start_picture = align_rotations(pictures, R_start_picture, config.half_width)
        return EncodedSet(patches, camera, R_start_picture, depth_m, matches, held)

    def correlate(self, pictures: Float[Tensor, "batch picture 3 size size"]) -> Matches:
        """Only what correlation says, at a third of the cost."""
        return self._matches(self.see(pictures.flatten(0, 1)), pictures.shape[1])

    def correlated_rotations(self, matches: Matches, count: int) -> Float[Tensor, "batch picture 3 3"]:
        """R_start_picture by correlation alone."""
        return synchronise(*rotations_of_pairs(matches, self.directions), count)[0]

    def _matches(self, features: Float[Tensor, "flat channel rows columns"], count: int) -> Matches:
        flat = self.match(features).flatten(2).mT.unflatten(0, (-1, count))
        with torch.autocast(features.device.type, enabled=False):
            return self._compare(flat.float())

    def _compare(self, features: Float[Tensor, "batch picture cell channel"]) -> Matches:
        """Matches of every pair, from the likeness of the cells' features.

        What all cells of a set have in common tells nothing. Every pair of cells that a rotation brings together votes
        for or against it, by how much liker they are than `no_match`.
        """
        features = F.normalize(features - features.mean((1, 2), keepdim=True), dim=-1)
        i, j = pairs_of(features.shape[1])
        likeness = self.sharpness.exp() * (features[:, i] @ features[:, j].mT)
        none = self.no_match.expand(*likeness.shape[:-1], 1)
        forward = torch.cat([likeness, none], -1).log_softmax(-1)
        backward = torch.cat([likeness.mT, none], -1).log_softmax(-1)
        votes = likeness.flatten(2) @ self.votes.flatten(1).T - self.no_match * self.votes.sum((1, 2))
        score = torch.cat([self.vote_gain.exp() * votes, self.no_overlap.expand(*votes.shape[:2], 1)], -1)
        return Matches(forward, backward, score.log_softmax(-1))

    def _tokens(
        self,
        patches: Float[Tensor, "flat channel rows columns"],
        R_start_picture: Float[Tensor, "batch picture 3 3"],
        held: Float[Tensor, "batch picture"],
    ) -> Float[Tensor, "flat token channel"]:
        """A camera token, then patches; each starts with what correlation says of where it looks."""
        looks = self.patch_directions @ R_start_picture.mT
        waves = torch.cat([looks * frequency for frequency in RAY_WAVES], -1)
        trust = held[:, :, None, None].expand(*looks.shape[:3], 1)
        rays = torch.cat([looks, waves.sin(), waves.cos(), trust], -1).flatten(0, 1)
        placed = patches.flatten(2).mT + self.ray(rays)
        camera = self.camera(torch.cat([R_start_picture.flatten(2), held[..., None]], -1))
        kind = torch.ones(held.shape[1], dtype=torch.long, device=held.device)
        kind[0] = 0
        return torch.cat([(camera + self.camera_token[kind]).flatten(0, 1)[:, None], placed], 1)

    def _alternate(self, tokens: Float[Tensor, "flat token channel"], count: int) -> Float[Tensor, "flat token twice"]:
        config = self.config
        within = tokens
        rotation = grid_rotation(config.side, config.side, 1, config.channels // config.heads, device=tokens.device)
        everywhere = type(rotation)(*(part.repeat(1, 1, count, 1) for part in rotation))
        for frame_block, global_block in zip(self.frame_blocks, self.global_blocks, strict=True):
            within = frame_block(tokens, rotation)
            tokens = global_block(within.reshape(-1, count * within.shape[1], within.shape[2]), everywhere)
            tokens = tokens.reshape_as(within)
        return torch.cat([within, tokens], -1)


def load_correlation_encoder(path: Path) -> CorrelationEncoder:
    """The encoder of a .safetensors file that `save_correlation_encoder` wrote; evaluation mode, no gradients.

    Raises:
        FileFormatError: the file is absent, damaged, or holds something else.
    """
    try:
        with safe_open(path, "pt") as file:
            entry = json.loads((file.metadata() or {}).get("config", "null"))
    except (OSError, SafetensorError, ValueError) as error:
        raise FileFormatError(f"{path} is no readable file of weights ({error}); install the package again") from error
    config = _config_from(path, entry)
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in CorrelationEncoder(config).state_dict().items()}
    weights = read_tensors(path, shapes)
    model = CorrelationEncoder(config)
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return model.eval().requires_grad_(False)


def save_correlation_encoder(path: Path, model: CorrelationEncoder) -> None:
    """Write an encoder's weights, its configuration in the file's header."""
    write_tensors(path, model.state_dict(), {"config": json.dumps(asdict(model.config))})


def _config_from(path: Path, entry: object) -> EncoderConfig:
    sizes = [field.name for field in fields(EncoderConfig) if field.type is int]
    if not isinstance(entry, dict) or entry.keys() != {field.name for field in fields(EncoderConfig)}:
        raise FileFormatError(f"{path.name} does not say that it is a scene encoder of ours; use one that we wrote")
    if any(not isinstance(entry[name], int) or not 1 <= entry[name] <= LARGEST_SIZE for name in sizes):
        raise FileFormatError(f"{path.name} has sizes that are not whole numbers of 1 … {LARGEST_SIZE}: {entry}")
    try:
        return EncoderConfig(**entry)
    except (TypeError, ValueError) as error:
        raise FileFormatError(f"{path.name} describes no scene encoder: {error}") from error
