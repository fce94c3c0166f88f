"""An actor's landmarks once more, by the larger landmark network.

People are followed by the smaller network, frame after frame. When it is known who the actor is and where they are in
each frame, the larger network looks there: the frames are independent of each other, and several are looked at at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from understudy.core.footage import Shot
from understudy.decompose.people.candidates import Picture
from understudy.decompose.people.landmarks import Crop, PoseEstimate
from understudy.decompose.people.network import MAX_COPIES
from understudy.decompose.people.person_tracks import Observation, Track, is_same
from understudy.decompose.people.tracker import TrackerConfig
from understudy.io.video.streams import read_frames
from understudy.runtime.parallel import in_order, prefetch, worker_count
from understudy.runtime.progress import Progress, silent

__all__ = ["refine_track"]


def refine_track(
    shot: Shot,
    track: Track,
    estimate: Callable[[Picture, Sequence[Crop]], list[PoseEstimate]],
    config: TrackerConfig,
    progress: Progress = silent,
) -> Track:
    """A track with the landmarks of a larger network, in the frames in which it sees the same person. Masks stay: those
    of the larger network are no better (intersection over union with the truth 0.956, not 0.958).

    Args:
        estimate: `LandmarkNetwork.estimate` of the larger network; called by several threads.
        config: how sure the network must be, and when two estimates are of one person.
    """

    def look(item: tuple[Observation, Picture]) -> PoseEstimate:
        observation, picture = item
        return estimate(picture, [observation.next_crop])[0]

    frames = sorted(track.observations)
    known = [track.observations[frame] for frame in frames]
    items = zip(known, prefetch(read_frames(shot, frames)), strict=True)
    estimates = in_order(look, items, min(worker_count(), MAX_COPIES))
    refined = dict(track.observations)
    for done, (frame, before, seen) in enumerate(zip(frames, known, estimates, strict=True), 1):
        if seen.presence >= config.presence.min_presence and is_same(seen, before, config.match):
            refined[frame] = replace(
                before, landmarks_px=seen.landmarks_px, visibility=seen.visibility, landmarks_m=seen.landmarks_m
            )
        progress(done, len(frames))
    return replace(track, observations=refined)
