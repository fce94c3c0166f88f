"""Archives of packages, fetched from the registries of Python and JavaScript without pip and npm, and opened as data.

Nothing of a package is installed or run. Which registry is asked, through which proxy and with whose certificates,
stands where pip, uv and npm look for it: in their environment variables and configuration files. Environments made by
uv or pipx have no pip that could be asked for its settings, and no library reads them; hence `_pip_settings`.
"""

# pooch and packageurl have types in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportMissingTypeStubs=false

import configparser
import logging
import os
import ssl
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from understudy.runtime.progress import Progress, silent

if TYPE_CHECKING:
    from requests import Response, Session

__all__ = ["ArchiveUnavailable", "PackageArchive", "extract_member", "fetch_archive"]

TIMEOUT_S = 30.0
"""Without a byte from the server; not of the whole download."""
MAX_ATTEMPTS = 4
"""At one download: the next goes on where the connection broke off."""
_CHUNK_BYTES = 1 << 16


class ArchiveUnavailable(Exception):
    """An archive could not be fetched, or is not the one expected; the text is the reason."""


@dataclass(frozen=True)
class PackageArchive:
    """One published file of a package."""

    package: str
    """Its package URL (https://github.com/package-url/purl-spec), such as `pkg:pypi/NAME@VERSION` or
    `pkg:npm/%40SCOPE/NAME@VERSION`."""
    file: str
    """Name of the wheel, or of npm's tarball."""
    size: int
    """In bytes."""
    sha256: str


def fetch_archive(archive: PackageArchive, folder: Path, progress: Progress = silent) -> Path:
    """Download an archive into `folder`; it appears there whole and checked, or not at all.

    `progress` counts bytes.

    Raises:
        ArchiveUnavailable: no registry has it, none can be reached, or what came differs in size or SHA-256.
        OSError: the folder cannot be written.
    """
    import pooch
    import requests

    # They would print every step, and addresses, which may hold passwords.
    for logger in (pooch.get_logger(), logging.getLogger("urllib3")):
        logger.setLevel(logging.ERROR)
    reasons: list[str] = []
    try:
        settings = _pip_settings()
        with _session(settings) as session:
            for url in _addresses(archive, settings, session, reasons):
                try:
                    return Path(
                        pooch.retrieve(
                            url,
                            f"sha256:{archive.sha256}",
                            archive.file,
                            folder,
                            downloader=_Download(session, archive.size, progress),
                        )
                    )
                except requests.RequestException as error:
                    reasons.append(_reason(error, url))
                except ArchiveUnavailable as error:
                    reasons.append(str(error))
                except ValueError:
                    reasons.append(f"{_host(url)} gives another file than the one we know: its SHA-256 differs")
    except (configparser.Error, ValueError) as error:
        reasons.append(f"the configuration of pip or npm cannot be read: {str(error).splitlines()[0]}")
    raise ArchiveUnavailable("; ".join(dict.fromkeys(reasons)))


def extract_member(archive: Path, member: str, target: Path, size: int) -> None:
    """Write one member of a wheel or a tarball to `target`.

    Raises:
        ArchiveUnavailable: it is not in there, or has another size than `size`; seen before it is unpacked.
    """
    with suppress(KeyError, zipfile.BadZipFile, tarfile.TarError, EOFError):
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel, wheel.open(member) as source:
                _write_member(source.read, wheel.getinfo(member).file_size, target, size)
                return
        with tarfile.open(archive, "r:gz") as tarball:
            found = tarball.getmember(member)
            unpacked = tarball.extractfile(found)
            if unpacked is not None:
                _write_member(unpacked.read, found.size, target, size)
                return
    raise ArchiveUnavailable(f"{archive.name} does not hold {member}")


def _write_member(read: Callable[[int], bytes], claimed: int, target: Path, size: int) -> None:
    if claimed != size:
        raise ArchiveUnavailable(f"{target.name} has {claimed} bytes, not {size}: it is not the one we know")
    with target.open("wb") as stream:
        while chunk := read(_CHUNK_BYTES):
            stream.write(chunk)


def _session(settings: dict[str, str]) -> "Session":
    """A client that trusts what this machine trusts: the certificates of companies are in the system's store alone."""
    import truststore
    from requests import Session
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    class SystemTrust(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, ssl_context=context, **options)

        def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
            return super().proxy_manager_for(proxy, ssl_context=context, **options)

    session = Session()
    retry = Retry(2, backoff_factor=0.5, status_forcelist=(502, 503, 504), raise_on_status=False)
    session.mount("https://", SystemTrust(max_retries=retry))
    certificates = settings.get("cert", "")
    if Path(certificates).is_file():
        session.verify = certificates
    if "proxy" in settings:
        session.proxies = dict.fromkeys(("http", "https"), settings["proxy"])
    return session


def _addresses(
    archive: PackageArchive, settings: dict[str, str], session: "Session", reasons: list[str]
) -> Iterator[str]:
    """Where the archive may be, best first; what keeps a registry from being asked is added to `reasons`."""
    from packageurl import PackageURL

    package = PackageURL.from_string(archive.package)
    if package.type == "npm":
        yield _npm_address(archive, package.namespace, package.name)
        return
    import requests
    from pypi_simple import PYPI_SIMPLE_ENDPOINT, NoSuchProjectError, PyPISimple, UnsupportedContentTypeError

    main = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL")
    indexes = [settings.get("index-url") or main or PYPI_SIMPLE_ENDPOINT, *settings.get("extra-index-url", "").split()]
    for index in indexes:
        if urlsplit(index).scheme not in ("https", "http"):
            continue
        try:
            page = PyPISimple(index, session=session).get_project_page(package.name, timeout=TIMEOUT_S)
        except requests.RequestException as error:
            reasons.append(_reason(error, index))
            continue
        except (NoSuchProjectError, UnsupportedContentTypeError):
            page = None
        found = [file.url for file in page.packages if file.filename == archive.file] if page else []
        if not found:
            reasons.append(f"{_host(index)} has no {archive.file}")
        yield from found[:1]


def _npm_address(archive: PackageArchive, scope: str | None, name: str) -> str:
    """At npm's registry, whose layout is fixed: REGISTRY/[@SCOPE/]NAME/-/FILE."""
    from packageurl.contrib.purl2url import get_download_url

    registry = next((value for key, value in os.environ.items() if key.lower() == "npm_config_registry"), None)
    if not registry:
        with suppress(OSError, ValueError):
            for line in (Path.home() / ".npmrc").read_text(encoding="utf-8").splitlines():
                key, _, value = line.partition("=")
                registry = value.strip() if key.strip() == "registry" else registry
    path = f"{scope}/{name}" if scope else name
    if registry:
        return f"{registry.rstrip('/')}/{path}/-/{archive.file}"
    return str(get_download_url(archive.package))


def _pip_settings() -> dict[str, str]:
    """The settings that pip would use here, in the order of its manual (https://pip.pypa.io/en/stable/topics/configuration/):
    files of the machine, the user and the environment, then variables; the later wins."""
    import platformdirs

    name = "pip.ini" if sys.platform == "win32" else "pip.conf"
    places = platformdirs.site_data_dir if sys.platform == "darwin" else platformdirs.site_config_dir
    folders = places("pip", appauthor=False, multipath=True).split(os.pathsep)
    folders += ["/etc"] if sys.platform not in ("darwin", "win32") else []
    folders += [str(Path.home() / (".pip" if sys.platform != "win32" else "pip")), str(Path.home() / ".config" / "pip")]
    folders += [platformdirs.user_config_dir("pip", appauthor=False, roaming=True), sys.prefix]
    chosen = os.environ.get("PIP_CONFIG_FILE")
    files = [Path(folder) / name for folder in folders] if chosen != os.devnull else []
    files += [Path(chosen)] if chosen else []
    parser = configparser.RawConfigParser()
    parser.read(files, encoding="utf-8")
    settings: dict[str, str] = {}
    for section in ("global", "download"):
        if parser.has_section(section):
            settings |= parser.items(section)
    variables = {key: value for key, value in os.environ.items() if key.startswith("PIP_") and value}
    return settings | {key.removeprefix("PIP_").lower().replace("_", "-"): value for key, value in variables.items()}


@dataclass(frozen=True)
class _Download:
    """Fetches an address into a file of `size` bytes, never more, and takes a broken connection up where it ended.

    pooch's own downloader does neither, and knows no certificates but those of its files.
    """

    session: "Session"
    size: int
    progress: Progress

    def __call__(self, fname: str, action: Any, pooch: Any, *, check_only: bool | None = None) -> None:
        import requests

        target = Path(action)
        target.write_bytes(b"")
        for attempt in range(MAX_ATTEMPTS):
            have = target.stat().st_size
            headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
            try:
                with self.session.get(fname, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
                    response.raise_for_status()
                    self._receive(response, target)
                return
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
                # Where nothing new came, the next attempt would end as this one.
                if attempt + 1 == MAX_ATTEMPTS or target.stat().st_size == have:
                    raise

    def _receive(self, response: "Response", target: Path) -> None:
        resumed = response.status_code == 206
        done = target.stat().st_size if resumed else 0
        announced = done + int(response.headers.get("Content-Length") or self.size - done)
        if announced != self.size:
            raise ArchiveUnavailable(f"{_host(response.url)} gives {announced} bytes, not {self.size}: another file")
        with target.open("ab" if resumed else "wb") as stream:
            self.progress(done, self.size)
            for chunk in response.iter_content(_CHUNK_BYTES):
                done += len(chunk)
                if done > self.size:
                    raise ArchiveUnavailable(f"{_host(response.url)} gives over {self.size} bytes: another file")
                stream.write(chunk)
                self.progress(done, self.size)


def _host(url: str) -> str:
    """The part of an address that can be shown: without user and password."""
    return unquote(urlsplit(url).hostname or "the registry")


def _reason(error: Exception, url: str) -> str:
    """Why a registry gave nothing, in a few words."""
    import requests

    host = _host(url)
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"{host} answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.Timeout):
        return f"{host} does not answer"
    if isinstance(error, requests.exceptions.SSLError):
        return f"the certificate of {host} is not trusted: set SSL_CERT_FILE, or `cert` in pip's configuration"
    if isinstance(error, requests.exceptions.ProxyError):
        return f"the proxy on the way to {host} refuses"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"the connection to {host} broke off"
    return f"{host} cannot be reached"
