"""Public traces that can be fetched: each at a fixed commit, with sha256, licence and citation, in `catalog.toml`."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .data import beside
from .trouble import BadInput, nearest

ORIGIN = "https://raw.githubusercontent.com"
"""Serves `/<owner>/<repository>/<commit>/<path>`; a mirror has to serve the same paths."""

Progress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes that are here and the bytes it has in all."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a public set.

    Attributes:
        path: in its repository.
        bytes: its size.
        sha256: of its bytes as they lie there.
    """

    path: str
    bytes: int
    sha256: str

    @property
    def name(self) -> str:
        """Its name in the cache."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Entry:
    """A public set.

    Attributes:
        name: as `gpuyard traces fetch` takes it.
        about: what it is.
        format: the loader of its traces.
        repository: "owner/name".
        commit: the fixed commit, 40 hex digits.
        licence: under which terms it may be used.
        cite: what to cite.
        files: the first is the trace that `fetched:NAME` opens.
    """

    name: str
    about: str
    format: str
    repository: str
    commit: str
    licence: str
    cite: str
    files: tuple[File, ...]

    @property
    def folder(self) -> Path:
        """Where its files lie once fetched."""
        return cache_folder() / "traces" / self.name

    @property
    def bytes(self) -> int:
        """Of all its files."""
        return sum(file.bytes for file in self.files)

    @property
    def is_cached(self) -> bool:
        """Whether all its files lie in the cache at their full size; `fetch` checks the sha256 too."""
        paths = ((self.folder / file.name, file.bytes) for file in self.files)
        return all(path.is_file() and path.stat().st_size == size for path, size in paths)


def cache_folder() -> Path:
    """`$GPUYARD_CACHE`, else this platform's usual place for caches."""
    from pooch.utils import os_cache

    return Path(os.environ.get("GPUYARD_CACHE") or os_cache("gpuyard")).expanduser()


@cache
def entries() -> dict[str, Entry]:
    """Name -> set, of everything in `catalog.toml`."""
    tables = beside(__file__, "catalog.toml")["sets"]
    made = (Entry(**{**table, "files": tuple(File(**file) for file in table["files"])}) for table in tables)
    return {entry.name: entry for entry in made}


def find(name: str) -> Entry:
    """The set of that name. Raises BadInput, with the nearest name."""
    if name not in entries():
        raise BadInput(f"trace set '{name}': the catalog has none of that name.{nearest(name, list(entries()))}")
    return entries()[name]


def cached(name: str) -> tuple[Entry, Path]:
    """The set and the path of its first file, or of FILE where `name` is NAME/FILE. Raises BadInput if not fetched."""
    set_name, _, file_name = name.partition("/")
    entry = find(set_name)
    names = [file.name for file in entry.files]
    if file_name and file_name not in names:
        raise BadInput(f"trace set '{set_name}' has no file '{file_name}'.{nearest(file_name, names)}")
    path = entry.folder / (file_name or names[0])
    if not path.is_file():
        raise BadInput(f"trace set '{set_name}' is not on this machine; run: gpuyard traces fetch {set_name}")
    return entry, path


def fetch(entry: Entry, progress: Progress, origin: str = ORIGIN) -> list[Path]:
    """Brings a set's files into the cache, and returns their paths.

    A file that is there with the right sha256 is left alone, without a request. One that was cut short is gone on
    with. A new one is checked and moved to its place at once; one with a wrong sha256 is removed.

    Args:
        entry: the set.
        progress: is told how far each file is.
        origin: whence, if a mirror is nearer.

    Raises:
        BadInput: no connection, an address that is not there, or other bytes than the catalog's.
    """
    from pooch.core import create
    from pooch.utils import get_logger
    from requests import RequestException

    from .download import Resuming

    get_logger().setLevel("ERROR")
    shelf = create(
        path=entry.folder,
        base_url="",
        registry={file.name: f"sha256:{file.sha256}" for file in entry.files},
        urls={file.name: _address(entry, file, origin) for file in entry.files},
    )
    paths = []
    for file in entry.files:
        part = entry.folder / f"{file.name}.part"
        try:
            paths.append(Path(shelf.fetch(file.name, downloader=Resuming(part, file.bytes, progress))))
        except RequestException as error:
            raise BadInput(_refused(file, entry, origin, error)) from None
        except BadInput:
            raise
        except ValueError:
            address = _address(entry, file, origin)
            raise BadInput(f"{address}: its sha256 is not the catalog's, so it was removed; try a mirror") from None
        except OSError as error:
            raise BadInput(f"{entry.folder}: cannot be written ({error.strerror}); set GPUYARD_CACHE") from None
    return paths


def _address(entry: Entry, file: File, origin: str) -> str:
    return f"{origin.rstrip('/')}/{entry.repository}/{entry.commit}/{file.path}"


def _refused(file: File, entry: Entry, origin: str, error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return (
            f"{_address(entry, file, origin)}: the server says {response.status_code} {response.reason}; try a mirror"
        )
    why = "did not answer in time" if "timed out" in str(error).lower() else "cannot be reached, or broke off"
    return f"{_address(entry, file, origin)}: {why}; run it again, it goes on where it stopped"
