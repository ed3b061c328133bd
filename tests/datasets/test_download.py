"""Downloads from a local server that breaks off, ignores ranges, changes files and lies; and hostile archives."""

import hashlib
import http.server
import io
import os
import stat
import tarfile
import tempfile
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from craft.common.errors import UserError
from craft.datasets.sources import DataFile, Source
from craft.datasets.tools import archives, download, fetch
from craft.datasets.tools.archives import unpack

CONTENT = bytes(range(256)) * 2000


class Server(http.server.ThreadingHTTPServer):
    """Serves ``files``; ``breaks`` holds after how many bytes each coming answer is cut off (None: not at all)."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.breaks: list[int | None] = []
        self.etags = True
        self.ranges = True
        self.log: list[tuple[str, str | None, int]] = []

    def url(self, name):
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        content = server.files.get(self.path[1:])
        if content is None:
            server.log.append((self.path, wanted, 404))
            self.send_error(404)
            return
        etag = f'"{hashlib.md5(content).hexdigest()}"'
        start, status = 0, 200
        if wanted and server.ranges and self.headers.get("If-Range", etag) == etag:
            start, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
        server.log.append((self.path, wanted, status))
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(status)
        if server.etags:
            self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(content) - start))
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        limit = server.breaks.pop(0) if server.breaks else None
        self.wfile.write(content[start:] if limit is None else content[start : start + limit])
        self.wfile.flush()
        self.close_connection = True


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetch, "_pause", lambda failures: 0.0)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def zipped(members, path=None):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    if path:
        path.write_bytes(buffer.getvalue())
    return buffer.getvalue()


def tarred(path, *infos, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for info, content in infos:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def member(name, kind=tarfile.REGTYPE, link="", content=b""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, content


def everything(folder):
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if p.is_file())


# -- fetching ----------------------------------------------------------------------


def test_a_file_is_fetched_and_nothing_else_is_left(server, tmp_path):
    server.files["a.json"] = CONTENT
    source = Source(url=server.url("a.json"), sha256=hashlib.sha256(CONTENT).hexdigest())
    assert fetch.fetch(source, tmp_path / "a.json").read_bytes() == CONTENT
    assert everything(tmp_path) == ["a.json"]


def test_an_interrupted_download_goes_on_where_it_was_cut_off(server, tmp_path):
    server.files["a.bin"] = CONTENT
    server.breaks = [200_000, 100_000, None]
    source = Source(url=server.url("a.bin"), md5=hashlib.md5(CONTENT).hexdigest())
    assert fetch.fetch(source, tmp_path / "a.bin").read_bytes() == CONTENT
    assert [entry[1:] for entry in server.log] == [(None, 200), ("bytes=200000-", 206), ("bytes=300000-", 206)]


def test_a_second_command_continues_what_the_first_left(server, tmp_path):
    server.files["a.bin"] = CONTENT
    server.breaks = [150_000] + [0] * 20
    source = Source(url=server.url("a.bin"))
    with pytest.raises(UserError, match=r"150000 bytes are kept, the same command goes on"):
        fetch.fetch(source, tmp_path / "a.bin")
    assert not (tmp_path / "a.bin").exists()
    server.breaks, server.log = [], []
    assert fetch.fetch(source, tmp_path / "a.bin").read_bytes() == CONTENT
    assert server.log == [("/a.bin", "bytes=150000-", 206)]


@pytest.mark.parametrize("trouble", ["ranges", "etags"])
def test_a_server_that_cannot_resume_is_asked_for_the_whole_file(server, tmp_path, trouble):
    server.files["a.bin"] = CONTENT
    setattr(server, trouble, False)
    server.breaks = [100_000, None]
    assert fetch.fetch(Source(url=server.url("a.bin")), tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_not_stitched_together(server, tmp_path):
    server.files["a.bin"] = CONTENT
    server.breaks = [100_000] + [0] * 20
    source = Source(url=server.url("a.bin"))
    with pytest.raises(UserError):
        fetch.fetch(source, tmp_path / "a.bin")
    server.files["a.bin"] = CONTENT[::-1]
    server.breaks = []
    assert fetch.fetch(source, tmp_path / "a.bin").read_bytes() == CONTENT[::-1]


def test_a_part_that_is_longer_than_the_file_is_dropped(server, tmp_path):
    server.files["a.bin"] = CONTENT
    server.breaks = [100_000] + [0] * 20
    source = Source(url=server.url("a.bin"))
    with pytest.raises(UserError):
        fetch.fetch(source, tmp_path / "a.bin")
    with open(tmp_path / "a.bin.part", "ab") as part:
        part.write(CONTENT * 2)
    server.breaks = []
    assert fetch.fetch(source, tmp_path / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("published", "complaint"),
    [
        ({"sha256": "0" * 64}, "sha256 .* instead of 0000"),
        ({"md5": "0" * 32}, "md5 .* instead of 0000"),
        ({"size": 5}, f"{len(CONTENT)} bytes instead of 5"),
    ],
)
def test_what_differs_from_the_published_file_is_not_kept(server, tmp_path, published, complaint):
    server.files["a.bin"] = CONTENT
    with pytest.raises(UserError, match=complaint):
        fetch.fetch(Source(url=server.url("a.bin"), **published), tmp_path / "a.bin")
    assert everything(tmp_path) == []


def test_a_damaged_part_costs_one_more_download(server, tmp_path):
    server.files["a.bin"] = CONTENT
    server.breaks = [100_000] + [0] * 20
    source = Source(url=server.url("a.bin"), sha256=hashlib.sha256(CONTENT).hexdigest())
    with pytest.raises(UserError):
        fetch.fetch(source, tmp_path / "a.bin")
    (tmp_path / "a.bin.part").write_bytes(b"x" * 100_000)
    server.breaks = []
    assert fetch.fetch(source, tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_missing_page_is_named_at_once(server, tmp_path):
    with pytest.raises(UserError, match=r"a\.bin answered 404 .*; see https://page"):
        fetch.fetch(Source(url=server.url("a.bin"), page="https://page"), tmp_path / "a.bin")
    assert len(server.log) == 1


def test_only_web_addresses_are_fetched(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    with pytest.raises(UserError, match="only http and https"):
        fetch.fetch(Source(url=secret.as_uri()), tmp_path / "a.bin")


def test_drive_files_go_through_gdown(tmp_path, monkeypatch):
    import gdown

    asked = []

    def fake(id, output, resume, quiet):
        asked.append((id, resume))
        Path(output).write_bytes(CONTENT)
        return output

    monkeypatch.setattr(gdown, "download", fake)
    source = Source(gdrive="abc", filename="split.json", size=len(CONTENT))
    assert fetch.fetch(source, tmp_path / "split.json").read_bytes() == CONTENT
    assert asked == [("abc", True)]


def test_a_drive_that_refuses_says_what_to_do_by_hand(tmp_path, monkeypatch):
    import gdown

    def refuse(**_):
        raise RuntimeError("Too many users have viewed or downloaded this file recently.")

    monkeypatch.setattr(gdown, "download", refuse)
    with pytest.raises(UserError, match=r"file/d/abc/view.*Too many users.*save the file as .*split\.json,"):
        fetch.fetch(Source(gdrive="abc"), tmp_path / "split.json")


def test_a_file_saved_by_hand_is_taken(tmp_path):
    (tmp_path / "split.json").write_bytes(CONTENT)
    source = Source(gdrive="abc", sha256=hashlib.sha256(CONTENT).hexdigest())
    assert fetch.fetch(source, tmp_path / "split.json").read_bytes() == CONTENT


# -- whole data sets ---------------------------------------------------------------


def set_of_files(server):
    archive = Source(url=server.url("set.zip"), unpack="", strip="set-1.0")
    return (
        DataFile("images", "dir", sources=(archive,)),
        DataFile("list.txt", sources=(archive,)),
        DataFile("split.json", role="split", sources=(Source(url=server.url("split.json")),)),
        DataFile("labels.mat", sources=(Source(page="https://ask.them"),)),
    )


def test_a_data_set_is_put_together_from_an_archive_and_files(server, tmp_path):
    members = {"set-1.0/images/a/1.jpg": "1", "set-1.0/images/b/2.jpg": "2", "set-1.0/list.txt": "l", "other.txt": "o"}
    server.files = {"set.zip": zipped(members), "split.json": b"{}"}
    outcome = download.download_dataset(set_of_files(server), tmp_path / "set")
    assert outcome.placed == ["images", "list.txt", "split.json"] and not outcome.failures
    assert [file.path for file in outcome.by_hand] == ["labels.mat"]
    visible = [name for name in everything(tmp_path / "set") if not name.startswith(".")]
    assert visible == ["images/a/1.jpg", "images/b/2.jpg", "list.txt", "split.json"]
    server.log = []
    assert download.download_dataset(set_of_files(server), tmp_path / "set") == ([], [set_of_files(server)[3]], [])
    assert server.log == []


def test_annotations_come_only_where_no_split_does(server, tmp_path):
    files = (
        DataFile("split.json", role="split", sources=(Source(url=server.url("split.json")),)),
        DataFile("notes.txt", role="annotations", sources=(Source(url=server.url("notes.txt")),)),
    )
    server.files = {"split.json": b"{}", "notes.txt": b"n"}
    assert download.download_dataset(files, tmp_path / "one").placed == ["split.json"]
    del server.files["split.json"]
    outcome = download.download_dataset(files, tmp_path / "two")
    assert outcome.placed == ["notes.txt"] and "split.json answered 404" in outcome.failures[0]


def test_a_dead_address_is_replaced_by_the_next_and_stops_nothing_else(server, tmp_path):
    dead, alive = Source(url=server.url("dead.txt")), Source(url=server.url("alive.txt"))
    files = (DataFile("x.txt", sources=(dead,)), DataFile("y.txt", sources=(dead, alive)))
    server.files = {"alive.txt": b"y"}
    outcome = download.download_dataset(files, tmp_path / "set")
    assert outcome.placed == ["y.txt"] and (tmp_path / "set" / "y.txt").read_bytes() == b"y"
    assert len(outcome.failures) == 1 and "dead.txt answered 404" in outcome.failures[0]


def test_an_archive_that_a_person_fetched_is_unpacked(tmp_path):
    content = zipped({"images/1.jpg": "1"})
    source = Source(page="https://ask.them", filename="i.zip", unpack="", md5=hashlib.md5(content).hexdigest())
    files = (DataFile("images", "dir", sources=(source,)),)
    assert download.download_dataset(files, tmp_path / "set").by_hand == list(files)
    saved = tmp_path / "set" / ".download" / "i.zip"
    saved.write_bytes(content[:-1])
    (failure,) = download.download_dataset(files, tmp_path / "set").failures
    assert "instead of" in failure and "https://ask.them" in failure and saved.exists()
    saved.write_bytes(content)
    assert download.download_dataset(files, tmp_path / "set").placed == ["images"]


def test_what_is_there_stays_and_what_is_missing_is_added(server, tmp_path):
    server.files = {"set.zip": zipped({"set-1.0/images/a/1.jpg": "1", "set-1.0/list.txt": "l"}), "split.json": b"{}"}
    own = tmp_path / "set" / "images" / "a" / "mine.jpg"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    download.download_dataset(set_of_files(server), tmp_path / "set")
    assert own.read_text() == "mine"
    assert (own.parent / "1.jpg").read_text() == "1"


def test_an_archive_without_the_expected_folder_puts_nothing_in_place(server, tmp_path):
    server.files = {"set.zip": zipped({"set-1.0/pictures/a/1.jpg": "1", "set-1.0/list.txt": "l"})}
    failures = download.download_dataset(set_of_files(server), tmp_path / "set").failures
    assert "does not hold images" in failures[0]
    assert not (tmp_path / "set" / "list.txt").exists()


def test_two_downloads_of_one_set_do_not_write_the_same_file(server, tmp_path):
    pytest.importorskip("fcntl")
    from craft.datasets.generated import locked

    (tmp_path / "set" / ".download").mkdir(parents=True)
    with (
        locked(tmp_path / "set" / ".download" / "downloads"),
        pytest.raises(UserError, match="another process is at work"),
    ):
        download.download_dataset(set_of_files(server), tmp_path / "set")


# -- archives ----------------------------------------------------------------------


@pytest.fixture
def target(tmp_path):
    folder = tmp_path / "deep" / "target"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/tmp/evil", "..\\evil", "C:\\evil", "a/../b"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_no_member_leaves_the_target(tmp_path, target, name, kind):
    archive = tmp_path / f"archive.{kind}"
    if kind == "zip":
        zipped({"good": "1", name: "2"}, archive)
    else:
        tarred(archive, member("good", content=b"1"), member(name, content=b"2"))
    with pytest.raises(UserError) as error:
        unpack(archive, target)
    assert str(archive) in str(error.value) and repr(name) in str(error.value)
    assert everything(tmp_path / "deep") == ["target/good"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("link", ["/etc/passwd", "../../outside", ".."])
def test_no_link_leads_out_of_the_archive(tmp_path, target, kind, link):
    archive = tarred(tmp_path / "a.tar.gz", member("sub/link", kind, link), member("good", content=b"1"))
    with pytest.raises(UserError, match="link"):
        unpack(archive, target)
    assert not os.path.lexists(target / "sub" / "link")


def test_a_link_to_a_folder_cannot_be_written_through(tmp_path, target):
    archive = tarred(
        tmp_path / "a.tar.gz", member("door", tarfile.SYMTYPE, str(tmp_path)), member("door/evil", content=b"1")
    )
    with pytest.raises(UserError):
        unpack(archive, target)
    assert not (tmp_path / "evil").exists()


def test_links_inside_become_copies(tmp_path, target):
    archive = tarred(
        tmp_path / "a.tar.gz",
        member("x/second", tarfile.SYMTYPE, "../y/first"),
        member("y/first", tarfile.SYMTYPE, "file"),
        member("y/file", content=b"content"),
        member("hard", tarfile.LNKTYPE, "y/file"),
    )
    assert unpack(archive, target) == 4
    for name in ("x/second", "y/first", "hard"):
        assert (target / name).read_bytes() == b"content" and not (target / name).is_symlink()


def test_a_symbolic_link_in_a_zip_is_not_followed(tmp_path, target):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "../../secret")
    with pytest.raises(UserError, match="link"):
        unpack(tmp_path / "a.zip", target)


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_refused(tmp_path, target, kind):
    with pytest.raises(UserError, match="'null' is a device"):
        unpack(tarred(tmp_path / "a.tar.gz", member("null", kind)), target)
    assert not (target / "null").exists()


def test_modes_are_not_taken_over(tmp_path, target):
    info, content = member("tool", content=b"x")
    info.mode = 0o4777
    unpack(tarred(tmp_path / "a.tar.gz", (info, content)), target)
    assert not (target / "tool").stat().st_mode & (stat.S_ISUID | 0o111)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_an_archive_cut_short_is_called_damaged(tmp_path, target, name):
    noise = hashlib.shake_256(b"").digest(200_000)
    archive = tmp_path / name
    if name.endswith("zip"):
        zipped({"f": noise}, archive)
    else:
        tarred(archive, member("f", content=noise))
    archive.write_bytes(archive.read_bytes()[:100_000])
    with pytest.raises(UserError, match=r"damaged or cut short|neither a zip nor a tar"):
        unpack(archive, target)


def test_a_web_page_is_no_archive(tmp_path, target):
    (tmp_path / "a.zip").write_text("<html>please log in</html>")
    with pytest.raises(UserError, match="neither a zip nor a tar"):
        unpack(tmp_path / "a.zip", target)


def test_a_hostile_archive_leaves_nothing_of_itself(server, tmp_path):
    server.files = {"set.zip": zipped({"set-1.0/images/a/1.jpg": "1", "set-1.0/../../../evil": "2"})}
    failures = download.download_dataset(set_of_files(server), tmp_path / "set").failures
    assert "outside of the target" in failures[0]
    left = [name for name in everything(tmp_path) if not name.startswith("set/.download/")]
    assert left == [] and not any("1.jpg" in name for name in everything(tmp_path))


# -- limits ------------------------------------------------------------------------


def limited(monkeypatch, **values):
    monkeypatch.setattr(archives, "LIMITS", archives.LIMITS._replace(**values))


@pytest.mark.parametrize("kind", ["zip", "gz", "bz2", "xz"])
def test_an_archive_that_grows_out_of_all_proportion_is_stopped(tmp_path, target, kind, monkeypatch):
    """Three files of 400 kB in a few hundred bytes, where 1 MB is allowed: nothing beyond that is written."""
    limited(monkeypatch, always=10**6)
    archive, zeros = tmp_path / f"bomb.{kind}", bytes(400_000)
    if kind == "zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
            for number in range(3):
                opened.writestr(f"{number}.bin", zeros)
    else:
        tarred(archive, *(member(f"{number}.bin", content=zeros) for number in range(3)), mode=f"w:{kind}")
    with pytest.raises(UserError, match=r"bomb\.\w+ unpacks to more than 1,000,000 bytes, 100 times its own size"):
        unpack(archive, target)
    assert sum(path.stat().st_size for path in target.iterdir()) <= 10**6


def test_links_count_as_the_copies_that_they_become(tmp_path, target, monkeypatch):
    limited(monkeypatch, always=10**6)
    links = [member(f"link{number}", tarfile.SYMTYPE, "file") for number in range(9)]
    archive = tarred(tmp_path / "a.tar.gz", member("file", content=bytes(200_000)), *links)
    with pytest.raises(UserError, match="unpacks to more than"):
        unpack(archive, target)


def test_an_archive_larger_than_the_disk_is_stopped_before_it_is_full(tmp_path, target, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(UserError, match="make room and run the same command again"):
        unpack(tarred(tmp_path / "a.tar.gz", member("file", content=bytes(2000))), target)
    assert (target / "file").stat().st_size <= 1000


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_there_is_a_most_of_members(tmp_path, target, kind, monkeypatch):
    limited(monkeypatch, members=10)
    names = [f"{number}" for number in range(11)]
    archive = tmp_path / f"a.{kind}"
    if kind == "zip":
        zipped(dict.fromkeys(names, "x"), archive)
    else:
        tarred(archive, *(member(name) for name in names))
    with pytest.raises(UserError, match="has more than 10 members"):
        unpack(archive, target)


@pytest.mark.parametrize("length", [3, 39, 41, 2000])
def test_a_chain_of_links_ends(tmp_path, target, length):
    """As many as Linux follows, in the order that takes most rounds; and no circle."""
    links = [member(f"{number}", tarfile.SYMTYPE, f"{number + 1}") for number in range(length)]
    archive = tarred(tmp_path / "a.tar.gz", *links, member(f"{length}", content=b"x"))
    if length <= archives.LIMITS.chain:
        assert unpack(archive, target) == length + 1 and (target / "0").read_bytes() == b"x"
        return
    with pytest.raises(UserError, match="behind more than 40 links"):
        unpack(archive, target)


def test_links_in_a_circle_are_named(tmp_path, target):
    archive = tarred(
        tmp_path / "a.tar",
        member("a", tarfile.SYMTYPE, "b"),
        member("b", tarfile.SYMTYPE, "a"),
        member("c", content=b"x"),
    )
    with pytest.raises(UserError, match="'a' links to 'b', which is no file in it"):
        unpack(archive, target)


def test_a_header_cannot_ask_for_memory(tmp_path, target):
    """Extended headers are read whole: 50 MB of zeros compress to nothing."""
    info = tarfile.TarInfo("././@PaxHeader")
    info.type = tarfile.XHDTYPE
    archive = tarred(tmp_path / "a.tar.gz", member("good", content=b"1"), (info, bytes(50_000_000)))
    with pytest.raises(UserError, match=r"damaged or cut short \(a header of 50,000,384 bytes\)"):
        unpack(archive, target)


def test_a_link_in_a_zip_cannot_ask_for_memory(tmp_path, target):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(info, bytes(2_000_000))
    with pytest.raises(UserError, match="the target of link 'link' is too long"):
        unpack(tmp_path / "a.zip", target)


def test_a_member_without_a_name_is_damage(tmp_path, target):
    content = zipped({"a": "one"})
    at = content.index(b"PK\x01\x02") + 28  # the length of the name, in the directory
    (tmp_path / "a.zip").write_bytes(content[:at] + b"\0\0" + content[at + 2 :])
    with pytest.raises(UserError, match=r"damaged or cut short"):
        unpack(tmp_path / "a.zip", target)


def small_archives():
    """Small valid archives of every kind, to damage."""
    yield zipped({"a/1.jpg": "one", "a/2.jpg": "two"})
    for mode in ("w:", "w:gz", "w:bz2", "w:xz"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode, format=tarfile.PAX_FORMAT) as archive:
            for info, content in (
                member("a/" + "é" * 120, content=b"one"),
                member("b", tarfile.SYMTYPE, "a/x"),
                member("a/x", content=b"two"),
            ):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        yield buffer.getvalue()


SMALL = list(small_archives())


@settings(max_examples=300, deadline=None)
@given(data=st.data(), content=st.sampled_from(SMALL), cut=st.floats(0, 1))
def test_any_bytes_are_unpacked_or_end_in_a_named_error(tmp_path_factory, data, content, cut):
    content = bytearray(content[: round(cut * len(content))] if cut < 0.3 else content)
    for _ in range(data.draw(st.integers(0, 8)) if content else 0):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory(dir=tmp_path_factory.getbasetemp()) as folder:
        archive, into = Path(folder) / "fuzzed.archive", Path(folder) / "into"
        archive.write_bytes(content)
        into.mkdir()
        try:
            assert unpack(archive, into) >= len(everything(into)) > 0  # two members may have one name
        except UserError as error:
            assert "fuzzed.archive" in str(error)
        assert sorted(os.listdir(folder)) == ["fuzzed.archive", "into"]
        assert not any(path.is_symlink() for path in into.rglob("*"))


# -- nothing of a user's is lost ---------------------------------------------------


def test_a_file_put_there_by_hand_is_moved_aside_and_said(server, tmp_path, capsys):
    server.files["a.zip"] = CONTENT
    source = Source(url=server.url("a.zip"), sha256=hashlib.sha256(CONTENT).hexdigest())
    for number, own in enumerate((b"mine", b"mine too")):
        (tmp_path / "a.zip").write_bytes(own)
        assert fetch.fetch(source, tmp_path / "a.zip").read_bytes() == CONTENT
        said = capsys.readouterr().out
        name = f"a.zip.aside{2 if number else ''}"
        assert f"it is moved to {name}" in said and "instead of" in said
        assert (tmp_path / name).read_bytes() == own


def test_an_archive_put_there_by_hand_stays_after_it_was_unpacked(tmp_path, capsys):
    content = zipped({"images/1.jpg": "1"})
    source = Source(page="https://ask.them", filename="i.zip", unpack="", md5=hashlib.md5(content).hexdigest())
    saved = tmp_path / "set" / ".download" / "i.zip"
    saved.parent.mkdir(parents=True)
    saved.write_bytes(content)
    files = (DataFile("images", "dir", sources=(source,)),)
    assert download.download_dataset(files, tmp_path / "set").placed == ["images"]
    assert saved.read_bytes() == content and "i.zip was there before and stays" in capsys.readouterr().out


def test_an_archive_that_was_downloaded_goes_after_it_was_unpacked(server, tmp_path):
    server.files = {"set.zip": zipped({"set-1.0/images/a/1.jpg": "1", "set-1.0/list.txt": "l"}), "split.json": b"{}"}
    download.download_dataset(set_of_files(server), tmp_path / "set")
    assert not (tmp_path / "set" / ".download" / "set.zip").exists()


def test_a_file_of_ones_own_in_the_way_of_an_archives_is_moved_aside(server, tmp_path, capsys):
    server.files = {"set.zip": zipped({"set-1.0/images/a/1.jpg": "1", "set-1.0/list.txt": "l"}), "split.json": b"{}"}
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "list.txt").write_text("corrected by me")  # while images are missing
    download.download_dataset(set_of_files(server), folder)
    assert (folder / "list.txt").read_text() == "l"
    assert (folder / "list.txt.aside").read_text() == "corrected by me"
    assert "list.txt is another file than the archive's; it is moved to list.txt.aside" in capsys.readouterr().out


def test_a_folder_in_the_way_of_a_file_is_named(server, tmp_path):
    server.files = {"x.txt": b"x"}
    (tmp_path / "set" / "x.txt").mkdir(parents=True)
    files = (DataFile("x.txt", sources=(Source(url=server.url("x.txt")),)),)
    (failure,) = download.download_dataset(files, tmp_path / "set").failures
    assert "x.txt is a folder where a file should be" in failure
