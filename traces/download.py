"""One download over HTTP that can be cut short and gone on with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import requests

from .trouble import BadInput

CHUNK = 64 * 1024
PATIENCE = (10, 60)
"""Seconds to wait for a connection, and for the next bytes."""


class Resuming:
    """A downloader as pooch calls it: bytes gather in `part`, which outlives an interruption, until all are here.

    Attributes:
        part: where bytes gather.
        size: how many there should be in all.
        progress: called with a name, the bytes here and the bytes in all.
    """

    def __init__(self, part: Path, size: int, progress: Callable[[str, int, int], None]) -> None:
        self.part, self.size, self.progress = part, size, progress

    def __call__(self, url: str, output_file: str, pooch: object, check_only: bool = False) -> None:
        """Downloads `url` to `output_file`. Raises requests' exceptions, or BadInput if it has another size."""
        if self._here() > self.size:
            self.part.unlink()
        if self._here() < self.size:
            self._download(url)
        if self._here() != self.size:
            self.part.unlink()
            raise BadInput(f"{url}: has another size than the {self.size:,} bytes of the catalog; try a mirror")
        self.part.replace(output_file)

    def _here(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _download(self, url: str) -> None:
        headers = {"Accept-Encoding": "identity"}
        if here := self._here():
            headers["Range"] = f"bytes={here}-"
        with requests.get(url, headers=headers, stream=True, timeout=PATIENCE) as answer:
            goes_on = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {here}-")
            if here and not goes_on and answer.status_code in (206, 416):
                self.part.unlink()
                return self._download(url)
            answer.raise_for_status()
            self._write(answer, "ab" if goes_on else "wb")
            return None

    def _write(self, answer: requests.Response, mode: str) -> None:
        with self.part.open(mode) as file:
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                self.progress(self.part.name.removesuffix(".part"), file.tell(), self.size)
                if file.tell() > self.size:
                    return
