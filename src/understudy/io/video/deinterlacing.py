"""Interlaced film: each frame made whole from one of its two fields, which were taken at different times."""

from collections import deque
from collections.abc import Iterator

from av.filter import Graph
from av.video.frame import VideoFrame

__all__ = ["deinterlaced"]


def deinterlaced(frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """The same frames at the same times; of those that their decoder calls interlaced, the field that came first, made
    whole with FFmpeg's bwdif (BBC R&D's w3fdif where the picture moves, yadif's rules for where it does).

    A frame depends on the one before and the one after it, and on no others.
    """
    before: VideoFrame | None = None
    fields: _Fields | None = None
    for frame in frames:
        if fields is not None and not fields.takes(frame):
            yield from fields.rest()
            fields = before = None
        if fields is None and frame.interlaced_frame:
            fields = _Fields(frame)
            if before is not None and fields.takes(before):
                # It gives the first interlaced frame its past, and has been handed out already.
                deque(fields.push(before), maxlen=0)
                fields.skip = 1
        if fields is None:
            before = frame
            yield frame
        else:
            yield from fields.push(frame)
    if fields is not None:
        yield from fields.rest()


class _Fields:
    """FFmpeg's filter for frames of one size and pixel format. It answers one frame late."""

    def __init__(self, frame: VideoFrame) -> None:
        self.skip = 0
        self._kind = _kind(frame)
        self._given: deque[VideoFrame] = deque()
        self._graph = Graph()
        self._graph.threads = 1
        self._graph.link_nodes(
            self._graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
            ),
            self._graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced"),
            self._graph.add("buffersink"),
        ).configure()

    def takes(self, frame: VideoFrame) -> bool:
        return _kind(frame) == self._kind

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        self._given.append(frame)
        self._graph.vpush(frame)
        yield from self._ready()

    def rest(self) -> Iterator[VideoFrame]:
        self._graph.vpush(None)
        yield from self._ready()

    def _ready(self) -> Iterator[VideoFrame]:
        while True:
            try:
                frame = self._graph.vpull()
            except (BlockingIOError, EOFError):
                return
            given = self._given.popleft()
            # The filter counts in another unit.
            frame.pts, frame.dts, frame.time_base = given.pts, given.dts, given.time_base
            if self.skip:
                self.skip -= 1
            else:
                yield frame if given.interlaced_frame else given


def _kind(frame: VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name
