"""What each stage has to say about its own quality, as the manifest keeps it."""

from dataclasses import dataclass
from typing import Literal

from understudy.core.camera import CameraMoveKind
from understudy.core.character import Doubt
from understudy.decompose.plate.clean_plate import PlateReport
from understudy.io.video.streams import Sound

__all__ = [
    "BodyReport", "CameraFitReport", "CameraReport", "CharacterReport", "FilmReport", "FramingReport", "Kind",
    "LightReport", "NoReport", "PeopleReport", "PlateReport", "PresenceReport", "StageReports",
]  # fmt: skip


@dataclass(frozen=True)
class NoReport:
    """Of a stage whose quality others judge."""


Kind = Literal["picture", "rig", "mesh"]
"""What a character is made from."""


@dataclass(frozen=True)
class CharacterReport:
    """What was made."""

    file: str
    height_m: float
    vertices: int
    joints: int
    roles: int
    """How many of the body's joints were recognised."""
    made_from: Kind
    doubts: list[Doubt]


@dataclass(frozen=True)
class PeopleReport:
    """Who was found, the main actor first."""

    people: int
    seen: list[float]
    """In which share of the frames each of them is seen."""
    centre_px: list[tuple[float, float]]
    """Where in the picture each of them is, over the shot."""

    def __post_init__(self) -> None:
        if not self.people == len(self.seen) == len(self.centre_px):
            raise ValueError(f"{self.people} people, but {len(self.seen)} shares and {len(self.centre_px)} places")


@dataclass(frozen=True)
class CameraReport:
    """How the camera was found."""

    move: CameraMoveKind
    residual_px: float
    points: int
    notes: list[str]


@dataclass(frozen=True)
class PresenceReport:
    """Shares."""

    present: float
    """Of the frames in which the actor is there."""
    seen: float
    """Of those, in which the landmarks were found."""


@dataclass(frozen=True)
class BodyReport:
    """Of the fit."""

    reprojection_px: float | None
    """Median distance from the landmarks; None where nobody was seen."""
    height_m: float


@dataclass(frozen=True)
class FramingReport:
    """Medians over the frames, as shares of the actor's height in the picture."""

    keypoint_error: float
    box_centre_error: float
    box_height_error: float
    foot_error: float


@dataclass(frozen=True)
class CameraFitReport:
    """How far the character is from filling the frame as the actor did."""

    before: FramingReport | None = None
    """With the shot's own camera; None: the fit was switched off."""
    scaled: FramingReport | None = None
    """With that camera moved into the character's world by its scale alone."""
    after: FramingReport | None = None


@dataclass(frozen=True)
class LightReport:
    """How the light was found."""

    found_by: Literal["shadow", "shading", "prior"]
    confidence: float


@dataclass(frozen=True)
class FilmReport:
    """What became of the sound."""

    sound: Sound


@dataclass(frozen=True)
class StageReports:
    """What is said of one cut and one actor in it."""

    character: CharacterReport
    people: PeopleReport
    camera: CameraReport
    plate: PlateReport
    presence: PresenceReport
    camera_fit: CameraFitReport
    light: LightReport
