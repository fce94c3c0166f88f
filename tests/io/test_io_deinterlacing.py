"""Interlaced film: whole pictures, one for each frame, the same in whatever order they are read."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.filter import Graph
from av.video.frame import VideoFrame

from understudy.io.video.decoding import picture
from understudy.io.video.deinterlacing import deinterlaced
from understudy.io.video.streams import open_shot, read_frames, write_film

WIDTH, HEIGHT, FRAMES = 160, 128, 30


def moment(time: float) -> np.ndarray:
    """Discs on a patterned ground, one of them fast, `time` in frames."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    ground = 110 + 40 * np.sin(x / 9) * np.cos(y / 13)
    picture = np.stack([ground, ground * 0.8, ground * 0.6], -1)
    for row, column, colour in ((40, 20 + 4 * time, (240, 60, 40)), (90, 140 - 2 * time, (40, 80, 230))):
        edge = np.clip(18 - np.hypot(y - row, x - column), 0, 1)[..., None]
        picture = picture * (1 - edge) + np.array(colour) * edge
    return picture.round().astype(np.uint8)


def interlaced_frame(index: int, pixels: str, mark: str = "tff") -> VideoFrame:
    """Two fields, the second half a frame after the first; of one moment where marked "prog"."""
    picture, late = moment(index), moment(index + (0 if mark == "prog" else 0.5))
    rows = slice(1 if mark == "tff" else 0, None, 2)
    picture[rows] = late[rows]
    frame = VideoFrame.from_ndarray(picture, "rgb24")
    graph = Graph()
    graph.link_nodes(
        graph.add_buffer(width=WIDTH, height=HEIGHT, format=frame.format, time_base=Fraction(1, 25)),
        graph.add("scale", "interl=1:out_color_matrix=bt709:out_range=tv"),
        graph.add("format", pixels),
        graph.add("setfield", mark),
        graph.add("buffersink"),
    ).configure()
    frame.pts, frame.time_base = index, Fraction(1, 25)
    graph.vpush(frame)
    return graph.vpull()


def write_interlaced(path: Path, codec: str, pixels: str, mark: str, options: dict[str, str]) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25, options={"flags": "+ilme+ildct"} | options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1
        for index in range(FRAMES):
            out.mux(stream.encode(interlaced_frame(index, pixels, mark)))
        out.mux(stream.encode(None))


KINDS = {
    "h264.mp4": ("libx264", "yuv420p", "tff", {"crf": "1", "g": "8", "bf": "2"}),
    "bottom.mkv": ("libx264", "yuv422p10le", "bff", {"crf": "1", "g": "8"}),
    "mpeg2.ts": ("mpeg2video", "yuv420p", "tff", {"b": "20M", "g": "6", "bf": "2"}),
    "prores.mov": ("prores_ks", "yuv422p10le", "tff", {}),
}


@pytest.fixture(scope="module", params=list(KINDS))
def film(request, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("fields") / request.param
    write_interlaced(path, *KINDS[request.param])
    return path


def comb(frame: np.ndarray) -> float:
    """How much rows differ from both of their neighbours."""
    rows = frame.astype(float)
    return float(np.abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2).mean())


def test_frames_are_whole_and_as_many(film):
    shot = open_shot(film)
    assert len(shot) == FRAMES and shot.frame_rate == 25
    frames = list(read_frames(shot))
    for index, frame in enumerate(frames):
        truth = moment(index)
        assert comb(frame) < comb(truth) + 0.15
        assert np.abs(frame.astype(int) - truth).mean() < 3
    with av.open(str(film)) as container:  # Left as they are, they are combed.
        stored = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert comb(stored[9]) > comb(moment(9)) + 0.6


def test_a_frame_is_the_same_in_whatever_order_it_is_read(film):
    shot = open_shot(film)
    frames = list(read_frames(shot))
    for numbers in ([0], [1], [8], [7, 8, 9], [5, 12, 16], [24], [FRAMES - 1]):
        for number, frame in zip(numbers, read_frames(shot, numbers), strict=True):
            assert (frame == frames[number]).all(), number
    part = open_shot(film, 8 / 25, 16 / 25)
    assert all((a == b).all() for a, b in zip(read_frames(part), frames[8:16], strict=True))
    assert all((a == b).all() for a, b in zip(read_frames(shot.part(8, 16)), frames[8:16], strict=True))


@pytest.mark.parametrize("pixels", ["yuv444p", "uyvy422", "nv12", "rgb24"])
def test_whole_frames_between_fields_stay_as_they_are(pixels):
    marks = ["tff"] * 5 + ["prog"] * 10 + ["tff"] * 5
    frames = [interlaced_frame(index, pixels, mark) for index, mark in enumerate(marks)]
    for first in (0, 7):  # From whatever frame on; only the first one lacks its past.
        whole = list(deinterlaced(iter(frames[first:])))
        assert [frame.pts for frame in whole] == list(range(first, 20))
        assert {frame.time_base for frame in whole} == {Fraction(1, 25)}
        for index, frame in enumerate(whole, first):
            shown = picture(frame, WIDTH, HEIGHT)
            assert np.abs(shown.astype(int) - moment(index)).mean() < (2 if pixels in ("yuv444p", "rgb24") else 4)
            if marks[index] == "prog":
                assert (shown == picture(frames[index], WIDTH, HEIGHT)).all()


def test_a_film_may_change_its_size_and_be_one_frame():
    small, large = interlaced_frame(0, "yuv420p"), interlaced_frame(1, "yuv444p")
    whole = list(deinterlaced(iter([small, small, large, large, small])))
    assert [frame.format.name for frame in whole] == ["yuv420p"] * 2 + ["yuv444p"] * 2 + ["yuv420p"]


@pytest.mark.shared
def test_a_real_interlaced_film_is_not_combed(shared_data, tmp_path):
    path = shared_data / "faults" / "interlaced_tff.mp4"
    shot = open_shot(path)
    frames = list(read_frames(shot))
    assert len(frames) == 20
    with av.open(str(path)) as container:
        stored = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert all(comb(whole) < 0.8 * comb(raw) for whole, raw in zip(frames[:19], stored, strict=False))
    write_film(tmp_path / "new.mp4", shot, frames)
    new = open_shot(tmp_path / "new.mp4")
    assert (new.timestamps * new.time_base == (shot.timestamps - shot.timestamps[0]) * shot.time_base).all()
