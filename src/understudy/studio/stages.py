"""The stages of one cut, in their order. Each reads files, makes files, and says how well it did.

Stages hand over through the film's folder only: what a person edits there is what the next stage reads.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from understudy.characters.rig import character_from_rig
from understudy.cinematography.fit import fit_camera
from understudy.core.camera import CameraPath
from understudy.core.errors import InputError
from understudy.core.film import Performance, Take
from understudy.core.footage import Actor, CameraSolution, LandmarkTrack, Shot
from understudy.core.progress import Progress
from understudy.decompose.body import fit_actor
from understudy.decompose.camera import solve_camera
from understudy.decompose.masks import refine_mask
from understudy.decompose.people import find_people
from understudy.decompose.plate import make_clean_plate
from understudy.io.bvh import read_bvh, write_bvh
from understudy.io.cameras import (
    read_camera_json,
    write_camera_json,
    write_camera_usda,
    write_colmap_text,
    write_nerfstudio,
)
from understudy.io.gltf import read_gltf, write_character, write_scene
from understudy.io.motions import read_motion, write_motion
from understudy.retarget.retarget import retarget
from understudy.studio.config import RecastConfig
from understudy.studio.narration import Narrator
from understudy.studio.project import Project, StageRecord

__all__ = ["Cut"]
