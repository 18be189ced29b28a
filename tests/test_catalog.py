"""Fetching a public set from a server that stands in for the real one: whole, resumed, refused, and not at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from real import REAL, needs_real

from gpuyard.traces import catalog
from gpuyard.traces.catalog import Entry, File, cached, entries, fetch, find
from gpuyard.traces.source import formats, open_trace
from gpuyard.traces.trouble import BadInput

LOG = b"; MaxProcs: 4\n" + b"1 0 -1 5 1 -1 -1 -1 -1 -1 1 3 4 -1 -1 2 -1 -1\n" * 4000
COMMIT = "0123456789" * 4


@dataclass
class Server:
    """What it serves by path, how, and what it was asked."""

    origin: str
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    ranges: bool = True
    cut_after: int | None = None


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            serving.asked.append((self.path, self.headers.get("Range")))
            body = serving.files.get(self.path)
            if body is None:
                return self.send_error(404)
            start = int(re.findall(r"\d+", self.headers["Range"])[0]) if self.headers.get("Range") else 0
            if start and serving.ranges and start >= len(body):
                return self.send_error(416)
            part = body[start:] if serving.ranges else body
            self.send_response(206 if start and serving.ranges else 200)
            if start and serving.ranges:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            self.wfile.write(part[: serving.cut_after])
            return None

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        serving = Server(f"http://127.0.0.1:{http.server_port}")
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield serving
        http.shutdown()
        thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def entry(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    monkeypatch.setenv("GPUYARD_CACHE", str(tmp_path / "cache"))
    server.files[f"/someone/logs/{COMMIT}/data/x.swf"] = LOG
    file = File("data/x.swf", len(LOG), sha256(LOG).hexdigest())
    return Entry("some-logs", "a test", "swf", "someone/logs", COMMIT, "MIT", "Someone", (file,))


Told = list[tuple[str, int, int]]


def bring(entry: Entry, server: Server) -> tuple[list[Path], Told]:
    told: Told = []
    return fetch(entry, lambda *progress: told.append(progress), server.origin), told


def test_a_set_is_fetched_whole_and_then_never_again(entry: Entry, server: Server, tmp_path: Path) -> None:
    before = entry.is_cached
    paths, told = bring(entry, server)
    assert paths == [tmp_path / "cache" / "traces" / "some-logs" / "x.swf"]
    assert paths[0].read_bytes() == LOG
    assert [p.name for p in entry.folder.iterdir()] == ["x.swf"]
    assert (before, entry.is_cached) == (False, True)
    assert told[-1] == ("x.swf", len(LOG), len(LOG))
    assert server.asked == [(f"/someone/logs/{COMMIT}/data/x.swf", None)]
    assert bring(entry, server) == (paths, [])
    assert len(server.asked) == 1


def test_a_download_cut_short_is_gone_on_with(entry: Entry, server: Server) -> None:
    server.cut_after = 100_000
    with pytest.raises(BadInput, match="broke off; run it again, it goes on where it stopped"):
        bring(entry, server)
    part = entry.folder / "x.swf.part"
    here = part.stat().st_size
    assert 0 < here <= 100_000
    assert not entry.is_cached
    server.cut_after = None
    paths, _ = bring(entry, server)
    assert paths[0].read_bytes() == LOG
    assert server.asked[-1][1] == f"bytes={here}-"
    assert not part.exists()


def test_a_part_that_is_already_whole_needs_no_request(entry: Entry, server: Server) -> None:
    entry.folder.mkdir(parents=True)
    (entry.folder / "x.swf.part").write_bytes(LOG)
    assert bring(entry, server)[0][0].read_bytes() == LOG
    assert server.asked == []


def test_a_server_that_cannot_go_on_begins_anew(entry: Entry, server: Server) -> None:
    server.ranges = False
    entry.folder.mkdir(parents=True)
    (entry.folder / "x.swf.part").write_bytes(LOG[:1000])
    assert bring(entry, server)[0][0].read_bytes() == LOG


def test_a_part_that_the_server_has_no_rest_of_is_begun_anew(entry: Entry, server: Server) -> None:
    server.files[f"/someone/logs/{COMMIT}/data/x.swf"] = LOG[:500]
    entry.folder.mkdir(parents=True)
    (entry.folder / "x.swf.part").write_bytes(LOG[:600])
    with pytest.raises(BadInput, match="has another size than"):
        bring(entry, server)
    assert [asked for _, asked in server.asked] == ["bytes=600-", None]
    assert list(entry.folder.iterdir()) == []


@pytest.mark.parametrize("start", [b"", b"x" * 700])
def test_other_bytes_than_the_catalogs_are_refused_and_removed(entry: Entry, server: Server, start: bytes) -> None:
    if start:  # a part that is not the beginning of the file
        entry.folder.mkdir(parents=True)
        (entry.folder / "x.swf.part").write_bytes(start)
    else:
        server.files[f"/someone/logs/{COMMIT}/data/x.swf"] = LOG[:-1] + b"x"
    with pytest.raises(BadInput, match="its sha256 is not the catalog's, so it was removed"):
        bring(entry, server)
    assert list(entry.folder.iterdir()) == []


@pytest.mark.parametrize("size", [-10, 10])
def test_another_size_is_refused_and_removed(entry: Entry, server: Server, size: int) -> None:
    server.files[f"/someone/logs/{COMMIT}/data/x.swf"] = LOG[:size] if size < 0 else LOG + b"y" * size
    with pytest.raises(BadInput, match="has another size than the"):
        bring(entry, server)
    assert list(entry.folder.iterdir()) == []


def test_an_endless_answer_is_not_read_to_its_end(entry: Entry, server: Server) -> None:
    server.files[f"/someone/logs/{COMMIT}/data/x.swf"] = LOG * 40
    told: Told = []
    with pytest.raises(BadInput, match="has another size than the"):
        fetch(entry, lambda *progress: told.append(progress), server.origin)
    assert told[-1][1] < 2 * len(LOG)
    assert list(entry.folder.iterdir()) == []


def test_a_file_spoiled_in_the_cache_is_fetched_again(entry: Entry, server: Server) -> None:
    path = bring(entry, server)[0][0]
    path.write_bytes(b"x" * len(LOG))
    assert bring(entry, server)[0][0].read_bytes() == LOG


def test_an_address_that_is_gone_is_one_sentence(entry: Entry, server: Server) -> None:
    server.files.clear()
    with pytest.raises(BadInput) as caught:
        bring(entry, server)
    assert str(caught.value) == (
        f"{server.origin}/someone/logs/{COMMIT}/data/x.swf: the server says 404 Not Found; try a mirror"
    )
    assert list(entry.folder.iterdir()) == []


def test_no_server_at_all_is_one_sentence(entry: Entry) -> None:
    with pytest.raises(BadInput, match="cannot be reached, or broke off; run it again"):
        fetch(entry, lambda *_: None, "http://127.0.0.1:9")


def test_a_cache_that_cannot_be_written_is_one_sentence(
    entry: Entry, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GPUYARD_CACHE", str(tmp_path / "file"))
    with pytest.raises(BadInput, match="set GPUYARD_CACHE"):
        bring(entry, server)


def test_a_fetched_set_is_opened_by_its_name(entry: Entry, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    two = replace(entry, files=(*entry.files, replace(entry.files[0], path="data/y.swf")))
    server.files[f"/someone/logs/{COMMIT}/data/y.swf"] = LOG
    monkeypatch.setattr(catalog, "entries", lambda: {"some-logs": two})
    with pytest.raises(BadInput, match="run: gpuyard traces fetch some-logs"):
        open_trace("fetched:some-logs")
    bring(two, server)
    assert cached("some-logs")[1].name == "x.swf"
    trace = open_trace("fetched:some-logs,tenant=partition")
    assert (trace.name, len(trace), trace.jobs[0].tenant) == ("some-logs", 4000, "2")
    assert open_trace("fetched:some-logs/y.swf").name == "some-logs/y.swf"


def test_the_catalog_is_complete_and_pinned() -> None:
    known = formats()
    assert {"philly", "openb", "lublin-256", "gavel-physical", "gavel-philly"} <= set(entries())
    for entry in entries().values():
        assert re.fullmatch(r"[0-9a-f]{40}", entry.commit)
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", entry.repository)
        assert entry.format in known
        assert entry.licence
        assert entry.cite
        names = [file.name for file in entry.files]
        assert len(set(names)) == len(names)
        assert all(re.fullmatch(r"[0-9a-f]{64}", file.sha256) and file.bytes > 0 for file in entry.files)
    with pytest.raises(BadInput, match="Did you mean 'lublin-256'"):
        find("lublin_256")


def test_the_cache_is_where_the_environment_says_or_the_platform_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUYARD_CACHE", str(tmp_path))
    assert catalog.cache_folder() == tmp_path
    monkeypatch.delenv("GPUYARD_CACHE")
    assert catalog.cache_folder().name == "gpuyard"


STORED = {
    "philly": {"philly.csv": "philly/philly.csv.gz"},
    "lublin-256": {"lublin_256.swf": "swf/lublin_256.swf.gz"},
    "nasa-ipsc": {"NASA-iPSC-1993-3.1-cln.swf.gz": "swf/NASA-iPSC-1993-3.1-cln.swf.gz"},
    "openb": {"openb_node_list_all_node.csv": "alibaba-v2023-openb/openb_node_list_all_node.csv"},
    "gavel-physical": {"simulation_throughputs.json": "gavel/simulation_throughputs.json.gz"},
}


@needs_real
@pytest.mark.parametrize("name", list(STORED))
def test_the_catalogs_sizes_and_hashes_are_those_of_the_real_files(name: str) -> None:
    import gzip

    files = {file.name: file for file in find(name).files}
    for file_name, stored in STORED[name].items():
        data = (REAL / stored).read_bytes()
        if stored.endswith(".gz") and not file_name.endswith(".gz"):
            data = gzip.decompress(data)
        assert (len(data), sha256(data).hexdigest()) == (files[file_name].bytes, files[file_name].sha256)
