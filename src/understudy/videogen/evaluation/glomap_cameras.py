"""Where frames were filmed from, by structure from motion alone: for films of real sizes, in sets that nobody knows.

As camera-controlled video models are measured: SIFT features with affine shape and domain-size pooling, sequential
matches, GLOMAP (Pan et al. 2024) with fixed intrinsics. Frames of under some 200 pixels have too few features, and a
camera that stays in place gives it no depth: there `pose_search` tells more.
"""

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8

from understudy.io.pictures.files import write_png
from understudy.io.temporary import temporary_folder
from understudy.runtime.colmap import pycolmap

__all__ = ["glomap_poses"]

NEIGHBOURS = 8
FEWEST_FRAMES = 3


def glomap_poses(
    frames: UInt8[np.ndarray, "frame height width 3"],
    K: Float[np.ndarray, "3 3"],
    background: Bool[np.ndarray, "frame height width"] | None = None,
) -> Float[np.ndarray, "frame 4 4"] | None:
    """`T_start_camera` of every frame, to the first one's camera and in a scale of its own; None where it fails.

    It fails unless every frame finds its place: an error over some of the frames would flatter the film. Features
    outside `background` are left out.
    """
    level = pycolmap.logging.minloglevel
    pycolmap.logging.minloglevel = pycolmap.logging.Level.FATAL.value
    try:
        with temporary_folder("glomap") as folder:
            models = _mapped(folder, frames, K, background)
    finally:
        pycolmap.logging.minloglevel = level
    if not models:
        return None
    model = max(models.values(), key=lambda model: model.num_reg_images())
    if model.num_reg_images() < len(frames):
        return None
    T_camera_world = np.tile(np.eye(4), (len(frames), 1, 1))
    for image in model.images.values():
        T_camera_world[int(Path(image.name).stem), :3] = image.cam_from_world().matrix()
    return T_camera_world[0] @ np.linalg.inv(T_camera_world)


def _mapped(
    folder: Path,
    frames: UInt8[np.ndarray, "frame height width 3"],
    K: Float[np.ndarray, "3 3"],
    background: Bool[np.ndarray, "frame height width"] | None,
) -> dict[int, pycolmap.Reconstruction]:
    if len(frames) < FEWEST_FRAMES:
        return {}
    pictures, masks, database = folder / "pictures", folder / "masks", folder / "features.db"
    pictures.mkdir()
    masks.mkdir()
    reader = pycolmap.ImageReaderOptions()
    reader.camera_model = "PINHOLE"
    reader.camera_params = ",".join(f"{value:.6f}" for value in (K[0, 0], K[1, 1], K[0, 2], K[1, 2]))
    for number, frame in enumerate(frames):
        write_png(pictures / f"{number:06d}.png", frame)
        if background is not None:
            mask = np.where(background[number], 255, 0).astype(np.uint8)
            write_png(masks / f"{number:06d}.png.png", np.repeat(mask[..., None], 3, 2))
    if background is not None:
        reader.mask_path = masks
    extraction = pycolmap.FeatureExtractionOptions()
    extraction.num_threads = 1
    extraction.sift.estimate_affine_shape = True
    extraction.sift.domain_size_pooling = True
    pycolmap.extract_features(
        database, pictures, camera_mode=pycolmap.CameraMode.SINGLE, reader_options=reader,
        extraction_options=extraction, device=pycolmap.Device.cpu,
    )  # fmt: skip
    matching, pairing = pycolmap.FeatureMatchingOptions(), pycolmap.SequentialPairingOptions()
    matching.num_threads = 1
    pairing.overlap, pairing.quadratic_overlap = NEIGHBOURS, True
    verification = pycolmap.TwoViewGeometryOptions()
    verification.ransac.random_seed = 0
    pycolmap.match_sequential(
        database, matching_options=matching, pairing_options=pairing, verification_options=verification,
        device=pycolmap.Device.cpu,
    )  # fmt: skip
    options = pycolmap.GlobalPipelineOptions()
    options.num_threads = options.mapper.num_threads = 1
    options.random_seed = options.mapper.random_seed = 0
    options.mapper.rotation_averaging.random_seed = options.mapper.global_positioning.random_seed = 0
    options.mapper.retriangulation.random_seed = 0
    options.mapper.global_positioning.use_gpu = False
    options.mapper.bundle_adjustment.refine_focal_length = False
    return pycolmap.global_mapping(database, pictures, folder, options)
