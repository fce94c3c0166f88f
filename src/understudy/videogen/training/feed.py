"""Training clips: rendered beside the training, kept in a pool that turns over slowly, the same on every run.

The pool at a step depends on the step alone. So training that was cut off finds the very clips it would have had.
"""

import multiprocessing
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from understudy.runtime.errors import UnderstudyError
from understudy.synthetic.worlds.clip_batch import ClipBatch
from understudy.synthetic.worlds.endless import ClipSizes, EndlessClips
from understudy.videogen.encoders.point_cloud import render_point_cloud
from understudy.videogen.transformer.conditioning import (
    CONDITIONS,
    Conditions,
    GeometrySource,
    SetGeometry,
    at_size,
    joined,
    mapped,
    overwrite,
)
from understudy.videogen.transformer.model import ModelConfig

__all__ = ["ClipSource", "EndlessSource", "Feed", "RenderProcess", "TrainingClips", "clip_sizes", "prepared"]


@runtime_checkable
class ClipSource(Protocol):
    """Gives clips by number: the same number, the same clips."""

    def __call__(self, number: int, clips: int) -> ClipBatch:
        """The batch of that number."""
        ...


@dataclass(frozen=True)
class EndlessSource:
    """Clips without end, every batch another."""

    endless: EndlessClips

    def __call__(self, number: int, clips: int) -> ClipBatch:
        """The batch of that number: `clips` clips that no other batch of this size has."""
        return self.endless.clips(range(number * clips, (number + 1) * clips))


@dataclass(frozen=True)
class TrainingClips:
    """Clips to learn from, and what the model is told about them."""

    video: Float[Tensor, "batch frame 3 height width"]
    mask: Float[Tensor, "batch frame height width"]
    """Coverage of the subject."""
    conditions: Conditions

    def __len__(self) -> int:
        return len(self.video)

    def clips(self, index: Tensor) -> "TrainingClips":
        """Some of the clips, in the order of `index`."""
        return mapped(self, lambda tensor: tensor[index])

    def frames(self, index: Tensor) -> "TrainingClips":
        """Some of the frames, in the order of `index`."""
        return replace(
            self, video=self.video[:, index], mask=self.mask[:, index], conditions=self.conditions.frames(index)
        )

    def to(self, device: torch.device) -> "TrainingClips":
        """The same on another device."""
        return mapped(self, lambda tensor: tensor.to(device))


def clip_sizes(config: ModelConfig, pictures: int) -> ClipSizes:
    """Of the clips that a model of this configuration learns from and is measured on."""
    return ClipSizes(config.frames, config.picture_px, config.picture_px, pictures, config.set_px)


def prepared(batch: ClipBatch, config: ModelConfig, geometry: GeometrySource | None) -> TrainingClips:
    """What a model of this configuration learns from a batch, whole clips.

    Raises:
        ValueError: the model needs geometry and there is no source of it, or pictures are of another size.
    """
    size = tuple(batch.video.shape[-2:]) + tuple(batch.context.shape[-2:])
    if size != (config.picture_px, config.picture_px, config.set_px, config.set_px):
        raise ValueError(f"the model takes clips of {config.picture_px} px, pictures of {config.set_px} px; got {size}")
    known: SetGeometry | None = None
    if config.geometry != "none":
        if geometry is None or geometry.channels != config.geometry_channels:
            got = "none" if geometry is None else f"one of {geometry.channels} channels"
            raise ValueError(f"the model needs a source of geometry of {config.geometry_channels} channels; got {got}")
        with torch.no_grad():
            known = geometry(batch, config.side, config.side)
    guide = None
    if config.guide:
        guide = render_point_cloud(
            batch.context, batch.context_depth_m, batch.T_start_crop, batch.K_crop, batch.T_start_camera, batch.K,
            *batch.video.shape[-2:],
        )  # fmt: skip
    clips, frames = batch.video.shape[:2]
    device = batch.video.device
    conditions = Conditions(
        T_start_camera=batch.T_start_camera,
        K=batch.K,
        frame_number=torch.arange(frames, device=device).float().expand(clips, -1).contiguous(),
        pictures=at_size(batch.context, config.picture_px),
        word_ids=config.vocabulary.ids(batch.words).to(device),
        absent=torch.zeros((clips, len(CONDITIONS)), dtype=torch.bool, device=device),
        geometry=known,
        guide=guide,
    )
    return TrainingClips(batch.video, batch.mask, conditions)


class Feed:
    """A pool of as many chunks of clips as fit; every `reuse` steps the oldest makes room for a new one.

    A chunk is as large as a training batch: so each clip is seen `reuse` times on average.
    """

    def __init__(self, render: Callable[[int], TrainingClips], chunks: int, reuse: int) -> None:
        self._render, self._chunks, self._reuse = render, chunks, reuse
        self._pool: TrainingClips | None = None
        self._held: list[int | None] = [None] * chunks
        """Which chunk lies at each place of the pool."""

    def batch(self, step: int, clips: int, generator: torch.Generator) -> TrainingClips:
        """Clips drawn from the pool as it is at this step; `generator` lives on the CPU."""
        oldest = step // self._reuse
        for number in range(oldest, oldest + self._chunks):
            if self._held[number % self._chunks] != number:
                self._take(number)
        chunk = (oldest + torch.randint(self._chunks, (clips,), generator=generator)) % self._chunks
        assert self._pool is not None  # made with the first chunk
        size = len(self._pool) // self._chunks
        return self._pool.clips(chunk * size + torch.randint(size, (clips,), generator=generator))

    def _take(self, number: int) -> None:
        """Render a chunk and put it in the oldest one's place."""
        chunk, place = self._render(number), number % self._chunks
        if self._pool is None:
            self._pool = joined([chunk] * self._chunks)
        overwrite(self._pool, chunk, place * len(chunk))
        self._held[place] = number


class RenderProcess:
    """Renders chunks one ahead in a process of its own: two processes of one thread beat one of two on a busy machine.

    The process ends with the context, and by itself when its owner is gone, however that ended.
    """

    def __init__(self, render: Callable[[int], TrainingClips]) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_render_on_request, args=(theirs, render), daemon=True)
        with _interrupts_ignored():
            self._process.start()
        theirs.close()
        self._ahead: int | None = None

    def __call__(self, number: int) -> TrainingClips:
        """The chunk of that number; the next one is begun.

        Raises:
            UnderstudyError: what the rendering raised, or the process has ended.
        """
        try:
            if self._ahead != number:
                if self._ahead is not None:
                    self._connection.recv_bytes()
                self._connection.send(number)
            chunk = pickle.loads(self._connection.recv_bytes())
            self._ahead = None
            if isinstance(chunk, UnderstudyError):
                raise chunk
            self._ahead = number + 1
            self._connection.send(self._ahead)
        except (EOFError, OSError) as error:
            raise UnderstudyError(
                "the process that renders training clips has ended (its message is above); start the training again,"
                " it goes on from its last checkpoint"
            ) from error
        return chunk

    def __enter__(self) -> "RenderProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._process.terminate()
        self._process.join()


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """What is started meanwhile leaves Ctrl-C to its owner, who ends it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _render_on_request(connection: Connection, render: Callable[[int], TrainingClips]) -> None:
    torch.set_num_threads(1)
    try:
        while True:
            number = connection.recv()
            try:
                answer = render(number)
            except UnderstudyError as error:
                answer = error
            connection.send_bytes(pickle.dumps(answer))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the owner is gone
