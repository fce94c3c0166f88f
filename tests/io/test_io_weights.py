"""Weights come out of packages' archives, are checked, and stay."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from understudy.io import package_archives
from understudy.io.weights import cache_folder, ensure_weights, list_weights, read_manifest, verify_weights
from understudy.runtime.errors import BackendUnavailable, FileFormatError

CONTENT = {"first.tflite": bytes(range(256)) * 900, "second.tflite": b"second weights" * 50}
WHEEL, TARBALL = "tiny_weights-1.0-py3-none-any.whl", "weights-1.0.tgz"


class Registry(ThreadingHTTPServer):
    """A registry of packages on this machine, which can break off or lie."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.requests, self.break_offs, self.chunked = folder, [], 0, False
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Answer(SimpleHTTPRequestHandler):
    """Files of the registry's folder; in parts where asked to."""

    server: Registry

    def __init__(self, *args: object) -> None:
        super().__init__(*args, directory=str(args[2].folder))

    def do_GET(self) -> None:
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.server.requests.append((self.path, first))
        path = Path(self.translate_path(self.path))
        if "/broken/" in self.path:
            self.send_error(500)
        elif path.suffix not in (".whl", ".tgz") or not path.exists():
            super().do_GET()
        else:
            self.send_archive(path, first)

    def send_archive(self, path: Path, first: int) -> None:
        data = path.read_bytes()[first:]
        self.send_response(206 if first else 200)
        if not self.server.chunked:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.server.break_offs:
            self.server.break_offs -= 1
            data = data[: len(data) // 2]
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Holds one wheel and one tarball; pip, npm and the cache are set to it and to an empty folder."""
    folder = tmp_path / "registry"
    (folder / "files").mkdir(parents=True)
    with zipfile.ZipFile(folder / "files" / WHEEL, "w") as wheel:
        for name, data in CONTENT.items():
            wheel.writestr(f"tiny/models/{name}", data)
    (folder / "simple/tiny-weights").mkdir(parents=True)
    page = f'<html><body><a href="../../files/{WHEEL}">{WHEEL}</a></body></html>'
    (folder / "simple/tiny-weights/index.html").write_text(page)
    (folder / "@tiny/weights/-").mkdir(parents=True)
    with tarfile.open(folder / "@tiny/weights/-" / TARBALL, "w:gz") as tarball:
        for name, data in CONTENT.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            tarball.addfile(member, io.BytesIO(data))
    with Registry(folder) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        for name in ("PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE", "PIP_PROXY", "HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple/")
        monkeypatch.setenv("npm_config_registry", f"{server.url}/")
        monkeypatch.setenv("UNDERSTUDY_CACHE", str(tmp_path / "cache"))
        yield server
        server.shutdown()


def write_manifest(registry: Registry, archive: Path, package: str, inside: str, **changes: object) -> Path:
    files = [
        {"name": name, "member": f"{inside}/{name}", "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in CONTENT.items()
    ]
    data = (registry.folder / archive).read_bytes()
    source = {"package": package, "file": archive.name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    entry = {"what": "nothing", "licence": "CC0-1.0", "licence_url": "-", "used_by": ["tests"]}
    entry |= {"source": source, "files": files} | changes
    path = registry.folder / "weights.json"
    path.write_text(json.dumps({"tiny": entry}))
    return path


@pytest.fixture
def manifest(registry: Registry) -> Path:
    """Of the weights in the wheel."""
    return write_manifest(registry, Path("files") / WHEEL, "pkg:pypi/tiny-weights@1.0", "tiny/models")


def change(manifest: Path, part: str, index: int | None = None, **values: object) -> None:
    entries = json.loads(manifest.read_text())
    target = entries["tiny"][part]
    (target if index is None else target[index]).update(values)
    manifest.write_text(json.dumps(entries))


def test_weights_are_fetched_once_and_then_need_no_network(registry, manifest):
    steps = []
    folder = ensure_weights("tiny", lambda done, total: steps.append((done, total)), manifest=manifest)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT
    size = (registry.folder / "files" / WHEEL).stat().st_size
    assert steps[0] == (0, size) and steps[-1] == (size, size)
    asked = len(registry.requests)
    assert ensure_weights("tiny", manifest=manifest) == folder
    assert len(registry.requests) == asked


def test_one_archive_serves_every_set_that_it_holds(registry, manifest):
    entries = json.loads(manifest.read_text())
    entries["more"] = entries["tiny"] | {"files": entries["tiny"]["files"][:1]}
    manifest.write_text(json.dumps(entries))
    ensure_weights("tiny", manifest=manifest)
    asked = len(registry.requests)
    folder = ensure_weights("more", manifest=manifest)
    assert {path.name for path in folder.iterdir()} == {"first.tflite"}
    assert len(registry.requests) == asked


def test_weights_come_from_a_tarball_of_npm(registry):
    manifest = write_manifest(registry, Path("@tiny/weights/-") / TARBALL, "pkg:npm/%40tiny/weights@1.0", "package")
    folder = ensure_weights("tiny", manifest=manifest)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT


def test_a_broken_connection_is_taken_up_where_it_ended(registry, manifest):
    registry.break_offs = 2
    folder = ensure_weights("tiny", manifest=manifest)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == CONTENT
    starts = [first for path, first in registry.requests if path.endswith(".whl")]
    assert len(starts) == 3 and 0 == starts[0] < starts[1] < starts[2]


def test_a_connection_that_keeps_breaking_off_is_given_up_with_nothing_left(registry, manifest):
    registry.break_offs = 99
    with pytest.raises(BackendUnavailable, match="broke off"):
        ensure_weights("tiny", manifest=manifest)
    assert list((cache_folder() / "weights" / "tiny").iterdir()) == []


def test_a_damaged_file_is_noticed_and_fetched_again(registry, manifest):
    folder = ensure_weights("tiny", manifest=manifest)
    damaged = folder / "first.tflite"
    damaged.write_bytes(CONTENT["first.tflite"][:-1] + b"?")
    assert len(verify_weights("tiny", manifest)) == 1
    assert "SHA-256" in verify_weights("tiny", manifest)[0]
    ensure_weights("tiny", manifest=manifest)
    assert verify_weights("tiny", manifest) == []
    assert damaged.read_bytes() == CONTENT["first.tflite"]


def test_status_follows_the_cache(registry, manifest):
    assert list_weights(manifest)[0].state == "absent"
    folder = ensure_weights("tiny", manifest=manifest)
    assert list_weights(manifest)[0].state == "present"
    (folder / "second.tflite").write_bytes(b"cut off")
    assert list_weights(manifest)[0].state == "damaged"


def test_without_network_the_error_says_what_to_do(registry, manifest, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@127.0.0.1:9/simple")
    with pytest.raises(BackendUnavailable, match=r"cannot be reached.*understudy weights fetch") as caught:
        ensure_weights("tiny", manifest=manifest)
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)
    assert list(cache_folder().rglob("*.tflite")) == []


@pytest.mark.parametrize(
    ("index", "reason"),
    [("/empty", f"has no {WHEEL}"), ("/broken", "answers 500"), ("/bare", f"has no {WHEEL}"), ("[", "configuration")],
)
def test_an_index_without_the_package_is_named(registry, manifest, monkeypatch, index, reason):
    (registry.folder / "bare/tiny-weights").mkdir(parents=True)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://{index}" if index == "[" else registry.url + index)
    with pytest.raises(BackendUnavailable, match=reason):
        ensure_weights("tiny", manifest=manifest)


def test_the_index_is_the_one_of_pips_files_and_the_next_is_asked_too(registry, manifest, tmp_path, monkeypatch):
    monkeypatch.delenv("PIP_INDEX_URL")
    settings = tmp_path / "pip.conf"
    settings.write_text(f"[global]\nindex-url = {registry.url}/empty\nextra-index-url = {registry.url}/simple\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    ensure_weights("tiny", manifest=manifest)
    assert verify_weights("tiny", manifest) == []
    assert [path for path, _ in registry.requests][:2] == ["/empty/tiny-weights/", "/simple/tiny-weights/"]


def test_pips_settings_follow_its_order(tmp_path, monkeypatch):
    for name in [name for name in package_archives.os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(package_archives.sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    for place, index in (("user/pip", "user"), ("venv", "venv")):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "pip.conf").write_text(f"[global]\nindex-url = {index}\n{index} = 1\n")
    found = package_archives._pip_settings()
    assert found["index-url"] == "venv" and found["user"] == "1"
    monkeypatch.setenv("PIP_INDEX_URL", "variable")
    assert package_archives._pip_settings()["index-url"] == "variable"


@pytest.mark.parametrize("chunked", [False, True])
def test_an_archive_of_another_size_is_refused_before_it_fills_the_disk(registry, manifest, chunked):
    registry.chunked = chunked
    change(manifest, "source", size=1000)
    with pytest.raises(BackendUnavailable, match="1000"):
        ensure_weights("tiny", manifest=manifest)
    assert list((cache_folder() / "weights" / "tiny").iterdir()) == []


def test_a_changed_archive_is_refused(registry, manifest):
    change(manifest, "source", sha256="0" * 64)
    with pytest.raises(BackendUnavailable, match="SHA-256 differs"):
        ensure_weights("tiny", manifest=manifest)
    assert not (cache_folder() / "weights" / "tiny" / "first.tflite").exists()


@pytest.mark.parametrize(
    ("values", "reason"),
    [({"sha256": "0" * 64}, "SHA-256"), ({"size": 7}, "bytes, not 7"), ({"member": "tiny/third"}, "does not hold")],
)
def test_another_file_than_the_manifest_names_is_refused(registry, manifest, values, reason):
    change(manifest, "files", 1, **values)
    with pytest.raises(BackendUnavailable, match=reason):
        ensure_weights("tiny", manifest=manifest)
    assert not (cache_folder() / "weights" / "tiny" / "second.tflite").exists()


def test_two_processes_may_fetch_at_once(registry, manifest):
    code = "import sys, pathlib; from understudy.io.weights import ensure_weights as e;"
    code += "e('tiny', manifest=pathlib.Path(sys.argv[1]))"
    both = [subprocess.Popen([sys.executable, "-c", code, str(manifest)]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert verify_weights("tiny", manifest) == []
    assert {path.name for path in (cache_folder() / "weights" / "tiny").iterdir()} == set(CONTENT)


def test_fetching_needs_no_pip(registry, manifest):
    code = "import sys, pathlib; sys.modules['pip'] = None; from understudy.io.weights import ensure_weights as e;"
    code += "import subprocess; subprocess.Popen = None; e('tiny', manifest=pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(manifest)], check=True)
    assert verify_weights("tiny", manifest) == []


def test_unknown_names_and_broken_manifests_are_named(registry, manifest, tmp_path):
    with pytest.raises(BackendUnavailable, match="known: tiny"):
        ensure_weights("huge", manifest=manifest)
    broken = tmp_path / "broken.json"
    broken.write_text('{"tiny": {"what": 1}}')
    with pytest.raises(FileFormatError, match="manifest"):
        read_manifest(broken)
    change(manifest, "files", 0, name="../escape.tflite")
    with pytest.raises(FileFormatError, match="outside"):
        read_manifest(manifest)


def test_our_manifest_is_complete_and_may_be_used_commercially():
    for weights in read_manifest().values():
        assert weights.licence in {"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0"}
        assert weights.files
        assert weights.used_by
        assert weights.source.package.startswith(("pkg:pypi/", "pkg:npm/")) and "@" in weights.source.package
        for file in (weights.source, *weights.files):
            assert len(file.sha256) == 64
            assert 0 < file.size < 1 << 30


def test_the_cache_is_where_it_is_asked_to_be(monkeypatch):
    monkeypatch.setenv("UNDERSTUDY_CACHE", "/somewhere/else")
    assert cache_folder() == Path("/somewhere/else")
    monkeypatch.delenv("UNDERSTUDY_CACHE")
    assert "understudy" in cache_folder().parts
