"""Take the camera of a film to other programs.

    python examples/03_camera_to_other_programs.py film/camera/fitted.json cameras/

The film's folder has USD, COLMAP and nerfstudio files already; this writes them for any camera, and more formats.
"""

from pathlib import Path

import tyro

import understudy


def main(camera_file: Path, out: Path, /) -> None:
    """Write a camera path for Maya, Houdini, Unreal, Blender and for data sets of camera paths."""
    camera = understudy.read_camera_json(camera_file)
    out.mkdir(parents=True, exist_ok=True)
    # OpenCV axes, metres, +Y up within; each writer turns them into what its program expects.
    understudy.write_camera_usda(out / "camera.usda", camera)
    understudy.write_scene(out / "camera.glb", (), camera)
    names = [f"frame.{number:04d}.png" for number in range(1, len(camera) + 1)]
    understudy.write_nerfstudio(out / "transforms.json", camera, names)
    understudy.write_unreal_cameras(out / "camera_extrinsics.json", {"cam01": camera.T_world_camera})
    understudy.write_realestate10k(out / "realestate10k.txt", camera, source=camera_file.name)
    x, y, z = camera.position[0]
    print(f"{len(camera)} frames, {camera.width}×{camera.height}; starts at {x:.2f}, {y:.2f}, {z:.2f} m")
    print("\n".join(str(path) for path in sorted(out.iterdir())))


if __name__ == "__main__":
    tyro.cli(main)
