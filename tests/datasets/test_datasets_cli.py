"""`craft data`: what it says of good trees and bad ones, its exit status, and the contact sheets it draws."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from craft import datasets
from craft.datasets.sources import DataFile, Source
from craft.datasets.tools import show
from craft.datasets.tools.command import main
from craft.datasets.tools.show import CELL, contact_sheet
from tests.conftest import PROJECT
from tests.datasets.test_image_folder import class_folders, draw
from tests.fixtures_data.trees import load, make_tree

NAMES = ("EuroSAT", "OxfordPets", "ImageNet", "Waterbirds", "CelebA")


@pytest.fixture(scope="module")
def miniatures(tmp_path_factory):
    return make_tree(tmp_path_factory.mktemp("cli") / "data", *NAMES)


@pytest.fixture
def root(miniatures, tmp_path):
    """A private copy of the miniatures; its files are links, so remove one before writing another in its place."""
    return shutil.copytree(miniatures, tmp_path / "data", copy_function=os.link)


def run(capsys, *arguments):
    """(exit status, what it printed, errors included)."""
    try:
        status = main([str(argument) for argument in arguments])
    except SystemExit as stop:
        status = stop.code
    captured = capsys.readouterr()
    return status, captured.out + captured.err


# -- check -------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_good_tree_passes_and_is_left_as_it_was(root, capsys, name):
    before = sorted(root.rglob("*"))
    status, out = run(capsys, "check", name, "--root", root, "--allow-subset", "--images")
    assert status == 0 and "everything is there" in out, out
    assert sorted(root.rglob("*")) == before


def test_a_removed_annotation_file_is_named_with_its_source(root, capsys):
    (root / "imagenet" / "classnames.txt").unlink()
    status, out = run(capsys, "check", "ImageNet", "--root", root, "--allow-subset")
    assert status == 1
    assert re.search(r"imagenet/classnames\.txt +missing +https://drive\.google\.com/file", out)


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("EuroSAT", "eurosat/2750/Forest/Forest_3.jpg"),
        ("CelebA", "celebA_v1.0/img_align_celeba/000003.jpg"),
    ],
)
def test_a_removed_image_is_named(root, capsys, name, image):
    (root / image).unlink()
    status, out = run(capsys, "check", name, "--root", root, "--allow-subset")
    assert status == 1 and image.partition("/")[2] in out


def test_a_removed_split_is_said_and_accepted_where_one_can_be_made(root, capsys):
    (root / "oxford_pets" / "split_zhou_OxfordPets.json").unlink()
    status, out = run(capsys, "check", "OxfordPets", "--root", root, "--allow-subset")
    assert status == 0
    assert re.search(r"split_zhou_OxfordPets\.json +missing, a split is made without it +https://drive", out)
    assert not (root / "oxford_pets" / "split_zhou_OxfordPets.json").exists()


def test_annotations_are_needed_only_without_the_split(root, capsys):
    shutil.rmtree(root / "oxford_pets" / "annotations")
    status, out = run(capsys, "check", "OxfordPets", "--root", root, "--allow-subset")
    assert status == 0 and "missing, not needed" in out
    (root / "oxford_pets" / "split_zhou_OxfordPets.json").unlink()
    assert run(capsys, "check", "OxfordPets", "--root", root, "--allow-subset")[0] == 1


def test_an_unexpected_size_is_said(root, capsys):
    status, out = run(capsys, "check", "EuroSAT", "--root", root)
    assert status == 1
    assert re.search(r"eurosat/2750 +unexpected size: 541 of 27000 images", out)
    assert "train 276 instead of 13500" in out


def test_an_unreadable_image_is_named(root, capsys):
    cut, text = (root / "eurosat" / "2750" / "River" / f"River_{number}.jpg" for number in (4, 5))
    whole = cut.read_bytes()
    cut.unlink()
    cut.write_bytes(whole[: len(whole) * 3 // 4])
    text.unlink()
    text.write_text("no image")
    assert run(capsys, "check", "EuroSAT", "--root", root, "--allow-subset")[0] == 0
    status, out = run(capsys, "check", "EuroSAT", "--root", root, "--allow-subset", "--images")
    assert status == 1 and "2 problem(s)" in out
    assert re.search(r"eurosat/2750/River/River_4\.jpg +cannot be decoded: .*truncated", out)
    assert re.search(r"eurosat/2750/River/River_5\.jpg +cannot be decoded: not an image", out)


def test_all_covers_every_published_set(root, capsys):
    status, out = run(capsys, "check", "all", "--root", root, "--allow-subset")
    assert status == 1
    for name, reader in datasets.READERS.items():
        if reader.files:
            assert re.search(rf"^{name} ", out, re.MULTILINE), name
    assert re.search(r"^UCF101 +ucf101/UCF-101-midframes +missing +https://", out, re.MULTILINE)


def test_a_folder_of_ones_own_is_checked(tmp_path, capsys):
    class_folders(tmp_path / "mine")
    assert run(capsys, "check", "ImageFolder", "--root", tmp_path / "mine", "--images")[0] == 0
    (tmp_path / "mine" / "cat" / "03.jpg").write_text("")
    status, out = run(capsys, "check", "ImageFolder", "--root", tmp_path / "mine", "--images")
    assert status == 1 and "cat/03.jpg" in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("check", "Eurosat", "--root", "."), "unknown data set 'Eurosat'; did you mean: EuroSAT"),
        (("check", "EuroSAT"), "--root DIR"),
        (("check", "EuroSAT", "--root", "no/such/folder"), "no/such/folder does not exist"),
        (("show", "Digits", "--out", "sheet.jpg"), "end in .png"),
        (("show", "ImageFolder", "--root", "."), "error: "),
        (("show", "Digits", "DATASET.NUM_SHOT", "4"), "did you mean: .*NUM_SHOTS"),
        (("download", "all", "--root", "."), "unknown data set 'all'"),
    ],
)
def test_mistakes_end_in_one_line(tmp_path, monkeypatch, capsys, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    status, out = run(capsys, *arguments)
    assert status == 1 and re.search(complaint, out)
    assert "Traceback" not in out and not list(tmp_path.iterdir())


def test_unknown_options_are_refused(capsys):
    status, out = run(capsys, "show", "Digits", "--sheet", "x.png")
    assert status == 2 and "--sheet" in out


# -- list and help -----------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--dassl",)])
def test_list_names_every_data_set(capsys, options):
    status, out = run(capsys, "list", *options)
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[2:]] == datasets.list_datasets()
    assert re.search(r"^OxfordPets +oxford_pets +37 +2944 +736 +3669 ", out, re.MULTILINE)


def test_help_tells_every_option_that_the_program_knows():
    out = subprocess.run(
        [sys.executable, "-m", "craft", "data", "check", "--help"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for option in ("--root", "--images", "--allow-subset", "KEY VALUE"):
        assert option in out


# -- show --------------------------------------------------------------------------


def test_show_counts_parts_classes_and_groups(root, tmp_path, capsys):
    status, out = run(capsys, "show", "Waterbirds", "--root", root, "--out", tmp_path / "sheet.png")
    assert status == 0
    assert re.search(r"^landbird +81 +25 +46$", out, re.MULTILINE)
    assert re.search(r"^waterbird on land +5 +4 +9$", out, re.MULTILINE)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG" and sheet.height > 4 * CELL


def test_show_counts_domains_and_never_the_labels_of_unlabelled_images(tmp_path, capsys):
    status, out = run(capsys, "show", "DigitsShift", "--out", tmp_path / "sheet.png")
    assert status == 0
    assert re.search(r"^zero +48 +- +16 +71$", out, re.MULTILINE)
    assert re.search(r"^handwritten +0 +719 +0 +719$", out, re.MULTILINE)


def test_show_takes_configuration_keys(tmp_path, capsys):
    arguments = ("show", "Digits", "--out", tmp_path / "sheet.png", "DATASET.NUM_SHOTS", "2")
    assert re.search(r"^zero +2 +2 +71$", run(capsys, *arguments)[1], re.MULTILINE)


def test_the_sheet_shows_the_images_of_each_class_in_its_row(tmp_path):
    for number, colour in enumerate(((250, 0, 0), (0, 250, 0), (0, 0, 250))):
        for index in range(4):
            path = tmp_path / "mine" / f"c{number}" / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (CELL, CELL), colour).save(path)
    data = load(tmp_path / "mine", "ImageFolder")
    contact_sheet(data, "mine", tmp_path / "sheet.png", per_row=2)
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    rows = [
        {y for y in range(pixels.shape[0]) if (pixels[y] == colour).all(axis=1).sum() == 2 * CELL}
        for colour in ((250, 0, 0), (0, 250, 0), (0, 0, 250))
    ]
    assert [len(row) for row in rows] == [CELL] * 3
    assert max(rows[0]) < min(rows[1]) and max(rows[1]) < min(rows[2])


def test_a_sheet_of_many_classes_shows_some_of_all(tmp_path):
    for number in range(12):
        for index in range(2):
            draw(tmp_path / "mine" / f"c{number:02d}" / f"{index}.png", number)
    data = load(tmp_path / "mine", "ImageFolder")
    head = contact_sheet(data, "mine", tmp_path / "sheet.png", max_classes=4)
    assert "12 classes, 4 of them shown" in head[0]
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert 4 * CELL < sheet.height < 6 * CELL


def test_a_sheet_is_never_larger_than_what_it_shows(tmp_path, capsys):
    """--per-class 100000 asks for all images of the longest class, not for a sheet of 7.6 million columns."""
    class_folders(tmp_path / "mine", {"a": 30, "b": 4})
    arguments = ("show", "ImageFolder", "--root", tmp_path / "mine", "--out", tmp_path / "sheet.png")
    assert run(capsys, *arguments, "--per-class", "100000", "--classes", "100000")[0] == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert 15 * CELL < sheet.width < 30 * CELL and sheet.height < 4 * CELL


def test_a_sheet_has_a_largest_size_and_says_what_it_leaves_out(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(show, "MOST_IMAGES", 12)
    monkeypatch.setattr(show, "MOST_ROWS", 3)
    class_folders(tmp_path / "mine", dict.fromkeys("abcde", 20))
    contact_sheet(load(tmp_path / "mine", "ImageFolder"), "mine", tmp_path / "sheet.png", per_row=100000)
    assert "12 images in 3 rows at most: drawing 4 in each of 3" in capsys.readouterr().out
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height < 5 * CELL and sheet.width < 12 * CELL


def test_a_sheet_and_a_check_see_pictures_as_a_run_does(tmp_path, capsys):
    """16 bits are neither white nor called fine while they are: here they are right, and 32 bits are named by both."""
    for name in "ab":
        class_folders(tmp_path / "mine", {name: 3})
    grey = np.full((CELL, CELL), 128 * 257, np.uint16)
    for path in (tmp_path / "mine" / "a").iterdir():
        path.unlink()
        Image.fromarray(grey).save(path.with_suffix(".png"))
    contact_sheet(load(tmp_path / "mine", "ImageFolder"), "mine", tmp_path / "sheet.png", per_row=1)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert (np.asarray(sheet.convert("RGB")) == 128).all(axis=2).sum() >= CELL**2
    Image.fromarray(grey.astype(np.int32)).save(tmp_path / "mine" / "a" / "03.tif")
    status, out = run(capsys, "check", "ImageFolder", "--root", tmp_path / "mine", "--images")
    assert status == 1 and re.search(r"a/03\.tif +cannot be decoded: it holds 32-bit whole numbers", out)


def test_an_unreadable_image_does_not_end_the_sheet(tmp_path):
    class_folders(tmp_path / "mine")
    for path in (tmp_path / "mine" / "cat").iterdir():
        path.write_text("no image")
    contact_sheet(load(tmp_path / "mine", "ImageFolder"), "mine", tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_size


# -- download ----------------------------------------------------------------------


def test_download_says_what_is_in_place_and_what_a_person_must_fetch(tmp_path, capsys, monkeypatch):
    import gdown

    def fake(id, output, resume, quiet):
        Path(output).write_text("{}")
        return output

    monkeypatch.setattr(gdown, "download", fake)
    reader = datasets.READERS["EuroSAT"]
    files = (
        DataFile("2750", "dir", sources=(Source(page="https://by.hand"),)),
        DataFile("split_zhou_EuroSAT.json", role="split", sources=(Source(gdrive="abc"),)),
    )
    monkeypatch.setattr(reader, "files", files)
    status, out = run(capsys, "download", "EuroSAT", "--root", tmp_path)
    assert status == 1
    assert "eurosat/split_zhou_EuroSAT.json is in place" in out
    assert re.search(r"eurosat/2750 has to be fetched by hand from https://by\.hand", out)
    assert (tmp_path / "eurosat" / "split_zhou_EuroSAT.json").read_text() == "{}"


def test_what_is_made_here_is_not_downloaded(tmp_path, capsys):
    status, out = run(capsys, "download", "Digits", "--root", tmp_path)
    assert status == 0 and "nothing to download" in out and not list(tmp_path.iterdir())


# -- the page that explains it -----------------------------------------------------


def sections():
    """{heading: text} of DATASETS.md."""
    parts = re.split(r"^### (.+)$", (PROJECT / "DATASETS.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


@pytest.mark.parametrize("name", sorted(name for name, reader in datasets.READERS.items() if reader.files))
def test_the_page_tells_what_the_reader_declares(name):
    reader, text = datasets.READERS[name], sections()[name]
    for folder in reader.dataset_dirs or (reader.dataset_dir,):
        assert f"{folder}/" in text
    for number in (reader.expected.classes, reader.expected.test):
        assert f"{number:,}" in text
    assert f"`{reader.template}`" in text
    for file in reader.files:
        assert file.path in text
        assert file.images is None or f"{file.images:,} images" in text
        for source in file.sources:
            assert str(source) in text


def test_the_page_leaves_no_data_set_out():
    text = (PROJECT / "DATASETS.md").read_text(encoding="utf-8")
    ours = [n for n, reader in datasets.READERS.items() if reader.__module__.startswith("craft.datasets.")]
    assert len(ours) >= 20 and [name for name in ours if name not in text] == []
