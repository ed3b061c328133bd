"""What classes are called to CLIP: names compared with the tokens of OpenAI's own tokenizer, the texts that a run and
`craft data` tell, and the names that are refused or warned of."""

import itertools
import json
import re
import unicodedata

import pytest
from clip import clip

from craft.common.errors import UserError
from craft.datasets import READERS
from craft.datasets.class_texts import as_read, oddities
from craft.datasets.splits import Split
from craft.datasets.tools.command import main
from tests.datasets.test_image_folder import class_folders, draw, table
from tests.fixtures_data.trees import load, make_cfg, make_tree
from tests.runs import run

SPELT = (
    *("café", "cafe\u0301", "CAFÉ", "cafe", "cat", "ＣＡＴ", "Cat", "AT&T", "AT&amp;T", "AT & T", "at&amp;amp;t"),
    *("ATT", "A 10", "A10", "A-10", "barn owl", "barn_owl", "BarnOwl", "barn  owl ", "fire", "ﬁre", "don't", "don’t"),
    *(
        "don ' t",
        "12",
        "1 2",
        "日本",
        "<|endoftext|>",
        "x ray",
        "x-ray",
        "!",
        "!!",
        "",
        "__",
        "cat\u00a0dog",
        "cat dog",
    ),
    *("“cat”", '"cat"', "İ", "i"),
)


def test_two_names_are_one_where_their_tokens_are():
    """Against OpenAI's tokenizer, for every pair."""
    tokens = {name: clip._tokenizer.encode(name.replace("_", " ")) for name in SPELT}
    for one, other in itertools.combinations(SPELT, 2):
        assert (as_read(one) == as_read(other)) == (tokens[one] == tokens[other]), (one, other)
    assert len({tuple(found) for found in tokens.values()}) < len(SPELT) - 8  # there are pairs of both kinds


@pytest.mark.parametrize(
    ("one", "other"),
    [("AT&T", "AT&amp;T"), ("cat", "ＣＡＴ"), ("A10", "A 10"), ("x_ray", "X  Ray")],
)
def test_classes_that_nothing_can_tell_apart_are_refused(tmp_path, one, other):
    class_folders(tmp_path / "mine", {one: 3, other: 3, "zebra": 3})
    with pytest.raises(UserError, match="two classes have the same name") as error:
        load(tmp_path / "mine", "ImageFolder")
    assert repr(one) in str(error.value) and repr(other) in str(error.value)


def test_rows_of_a_csv_that_are_one_text_are_refused_by_line(tmp_path):
    base = class_folders(tmp_path / "mine", {"a": 8})
    two = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")]
    named = ["zebra", "zebra", *two, "AT&T", "at&amp;t"]
    rows = [f"a/{index:02d}.jpg,{name}" for index, name in enumerate(named)]
    with pytest.raises(UserError, match=r"list\.csv, line \d\).*list\.csv, line \d\)"):
        load(table(base, rows), "ImageFolder")


def test_a_name_of_nothing_is_a_fault_of_the_csv_and_not_of_a_folder(tmp_path):
    base = class_folders(tmp_path / "mine", {"a": 4})
    rows = [f"a/{index:02d}.jpg,{name}" for index, name in enumerate(["zebra", "zebra", "__", "__"])]
    with pytest.raises(UserError, match=r"list\.csv, line 4: the name of class '__' is empty") as error:
        load(table(base, rows), "ImageFolder")
    assert "folder" not in str(error.value)


def test_a_reader_of_ones_own_is_held_to_it_too(miniature_pets):
    names = {0: "pug !", 1: "Pug!"}
    parts = {
        part: [item._replace(classname=names.get(item.label, item.classname)) for item in items]
        for part, items in miniature_pets["split"].parts().items()
    }
    with pytest.raises(UserError, match=r"labels 0 and 1 have the same name as CLIP reads it.*'pug !' .*and 'Pug!'"):
        miniature_pets["reader"].check_labels(Split(parts["train"], parts["val"], parts["test"]))


@pytest.fixture
def miniature_pets(tmp_path):
    reader = READERS["OxfordPets"](make_cfg(make_tree(tmp_path / "data", "OxfordPets"), "OxfordPets"))
    return {"reader": reader, "split": reader.load()}


def test_imagenets_namesakes_are_as_they_are(tmp_path):
    root = make_tree(tmp_path / "data", "ImageNet")
    names = (root / "imagenet/classnames.txt").read_text().splitlines()
    wnids = [line.split()[0] for line in names]
    (root / "imagenet/classnames.txt").unlink()
    (root / "imagenet/classnames.txt").write_text("".join(f"{wnid} missile\n" for wnid in wnids))
    assert set(load(root, "ImageNet").classnames) == {"missile"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("7", "are numbers"), ("2_10", "are numbers"), ("n01440764", "WordNet"), ("n01440764-tench", "WordNet"),
        ("BarnOwl", "written together"), ("!", "neither letter"), ("--", "neither letter"),
        ("cat<|startoftext|>", "control token"), ("<|endoftext|>", "control token"), ("a_abbey", "left of a path"),
        ("cat cat", "twice"), ("barn_owl_barn_owl", "twice"), ("001.Barn_owl", "begin with a number"),
        ("cat\u200b", "cannot be seen"),
    ],
)  # fmt: skip
def test_names_that_say_little_are_warned_of(name, kind):
    assert any(kind in line and repr(name) in line for line in oddities(["zebra", name]))


def test_names_that_are_words_are_not_warned_of():
    words = ["barn owl", "T-shirt", "t_shirt", "A frame", "iPod", "2012 Audi A5 Coupe", "McDonald", "x ray", "747 jet"]
    assert not oddities([*words, "café", "yoyo", "can opener", "DHC-6", "Boeing 747"])


# -- a run ---------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    return class_folders(tmp_path / "mine", {"barn_owl": 6, "7": 6, "n01440764": 6, "zebra": 6})


WORDS = ("--dataset-config-file", "image_folder", "--root")


def test_a_run_tells_the_text_of_each_class(folder, tmp_path, capsys):
    assert run(tmp_path / "out", "ZeroshotCLIP", *WORDS, str(folder)) == 0
    said = capsys.readouterr().out
    assert "'a photo of a 7.', 'a photo of a barn owl.', 'a photo of a n01440764.', …; all 4 are in" in said
    assert "Warning: 1 class name(s) are numbers" in said and "WordNet ids" in said
    rows = [line.split("\t") for line in (tmp_path / "out/class_texts.txt").read_text().splitlines()]
    assert rows[2] == ["1", "barn_owl", "a photo of a barn owl."] and len(rows) == 5
    texts = json.loads((tmp_path / "out/run.json").read_text())["texts"]
    assert texts["template"] == "a photo of a {}." and texts["first"][1] == "a photo of a barn owl."


def test_a_run_with_learned_words_says_the_names_alone(folder, tmp_path, capsys):
    assert run(tmp_path / "out", "CoOp", *WORDS, str(folder)) == 0
    assert "Class names in prompts, amid learned words: '7.', 'barn owl.'" in capsys.readouterr().out
    assert json.loads((tmp_path / "out/run.json").read_text())["texts"]["template"] is None


def test_published_names_are_not_warned_of(tmp_path, capsys):
    assert run(tmp_path / "out", "ZeroshotCLIP") == 0
    said = capsys.readouterr().out
    assert re.search(r"Class texts, hand-written: '.*zero.*', '.*one.*', '.*two.*', …; all 10 are in", said)
    assert "Warning" not in said


def test_a_set_of_one_class_is_refused(tmp_path, capsys):
    class_folders(tmp_path / "one", {"cat": 6})
    assert run(tmp_path / "out", "CoOp", *WORDS, str(tmp_path / "one")) == 1
    assert "ImageFolder has one class, 'cat'" in capsys.readouterr().err
    class_folders(tmp_path / "two", {"cat": 6, "dog": 6})
    words = ("DATASET.SUBSAMPLE_CLASSES", "base")
    assert run(tmp_path / "out2", "CoOp", *WORDS, str(tmp_path / "two"), *words) == 1
    assert "has one class, 'cat'" in capsys.readouterr().err


def test_show_and_check_tell_the_texts(folder, tmp_path, capsys):
    assert main(["show", "ImageFolder", "--root", str(folder), "--out", str(tmp_path / "sheet.png")]) == 0
    said = capsys.readouterr().out
    assert "a photo of a barn owl." in said and "are numbers" in said
    assert main(["check", "ImageFolder", "--root", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "'a photo of a barn owl.'" in said and "are numbers" in said


def test_check_refuses_one_class_and_a_name_longer_than_clip_reads(tmp_path, capsys):
    class_folders(tmp_path / "one", {"cat": 6})
    assert main(["check", "ImageFolder", "--root", str(tmp_path / "one")]) == 1
    assert "one class" in capsys.readouterr().out
    for index in range(6):
        draw(tmp_path / "long" / "cat" / f"{index}.jpg")
        draw(tmp_path / "long" / " ".join(["ox"] * 80) / f"{index}.jpg")
        draw(tmp_path / "long" / ("鸟" * 60) / f"{index}.jpg")
    assert main(["check", "ImageFolder", "--root", str(tmp_path / "long")]) == 1
    said = capsys.readouterr().out
    assert said.count("is longer than the 77 tokens that CLIP reads") == 2
