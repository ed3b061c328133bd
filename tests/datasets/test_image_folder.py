"""A folder of one's own: every layout, splits that stay put, domains, groups, names, and all that can be wrong."""

import json
import os
import re
import sys
import unicodedata
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from craft import datasets
from craft.common.errors import UserError
from craft.datasets.tools.check import images_below
from craft.datasets.tools.command import main
from tests.fixtures_data.trees import load

CLASSES = {"barn_owl": 20, "cat": 10, "zebra": 7}


def draw(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def class_folders(base, classes=None):
    for number, (name, count) in enumerate((classes or CLASSES).items()):
        for index in range(count):
            draw(base / name / f"{index:02d}.jpg", 100 * number + index)
    return base


def names(items, base):
    return [os.path.relpath(item.impath, base) for item in items]


def parts(data):
    return [data.train_x, data.val or [], data.test]


@pytest.fixture
def folder(tmp_path):
    return class_folders(tmp_path / "mine")


@pytest.fixture
def domains(tmp_path):
    for domain in ("photo", "sketch", "toy"):
        class_folders(tmp_path / "mine" / domain)
    return tmp_path / "mine"


def table(folder, rows, name="list.csv", header="path,class"):
    path = folder / name
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


# -- layouts -----------------------------------------------------------------------


def test_class_folders_become_classes(folder):
    data = load(folder, "ImageFolder")
    assert data.classnames == sorted(CLASSES)
    every = names([item for part in parts(data) for item in part], folder)
    assert sorted(every) == sorted(f"{c}/{i:02d}.jpg" for c, n in CLASSES.items() for i in range(n))
    assert all(item.classname == os.path.basename(os.path.dirname(item.impath)) for item in data.test)


def test_the_split_takes_half_a_fifth_and_the_rest_of_every_class(folder, capsys):
    data = load(folder, "ImageFolder")
    assert [Counter(item.classname for item in part)["barn_owl"] for part in parts(data)] == [10, 4, 6]
    assert [Counter(item.classname for item in part)["cat"] for part in parts(data)] == [5, 2, 3]
    assert "no split is given" in capsys.readouterr().out


def test_the_split_depends_on_neither_seed_nor_order_nor_place(folder, tmp_path):
    one = [names(part, folder) for part in parts(load(folder, "ImageFolder", seed=1))]
    moved = folder.rename(tmp_path / "elsewhere")
    assert [names(part, moved) for part in parts(load(moved, "ImageFolder", seed=7))] == one


def test_shots_and_halves_work_as_on_a_published_set(folder):
    data = load(folder, "ImageFolder", shots=2, subsample="base")
    assert data.classnames == ["barn_owl", "cat"]
    assert Counter(item.label for item in data.train_x) == {0: 2, 1: 2}
    assert load(folder, "ImageFolder", shots=2, subsample="new").classnames == ["zebra"]


def test_nothing_is_written_among_the_images(folder):
    before = sorted(folder.rglob("*"))
    load(folder, "ImageFolder", shots=2, output=folder.parent / "output")
    again = load(folder, "ImageFolder", shots=2, output=folder.parent / "output")
    assert sorted(folder.rglob("*")) == before
    assert len(again.train_x) == 6


def test_split_folders_are_taken_as_they_are(tmp_path):
    for part, count in (("train", 5), ("valid", 2), ("Test", 3)):
        class_folders(tmp_path / part, {"a": count, "b": count})
    data = load(tmp_path, "ImageFolder")
    assert [len(part) for part in parts(data)] == [10, 4, 6]
    assert all(name.startswith("train/") for name in names(data.train_x, tmp_path))
    assert all(name.startswith("Test/") for name in names(data.test, tmp_path))


def test_val_is_tested_on_where_there_is_no_test(tmp_path, capsys):
    for part, count in (("train", 6), ("val", 5)):
        class_folders(tmp_path / part, {"a": count, "b": count})
    data = load(tmp_path, "ImageFolder", shots=1)
    assert len(data.test) == len(data.val) == 10 and len(data.train_x) == 2
    assert "val is used for testing" in capsys.readouterr().out


def test_a_class_of_two_is_trained_and_tested_on(tmp_path):
    data = load(class_folders(tmp_path, {"a": 2, "b": 3}), "ImageFolder")
    assert [Counter(item.label for item in part) for part in parts(data)] == [{0: 1, 1: 1}, {1: 1}, {0: 1, 1: 1}]


def test_the_path_below_the_root_can_be_named(folder):
    data = load(folder.parent, "ImageFolder", PATH="mine")
    assert data.classnames == sorted(CLASSES)


def test_other_files_are_no_images(folder, capsys):
    (folder / "cat" / "notes.txt").write_text("hello")
    (folder / ".hidden").mkdir()
    (folder / "README").write_text("hello")
    assert load(folder, "ImageFolder").classnames == sorted(CLASSES)
    assert "notes.txt" in capsys.readouterr().out


# -- domains -----------------------------------------------------------------------


def test_domains_are_found_and_pooled(domains):
    data = load(domains, "ImageFolder")
    assert data.domains == ["photo", "sketch", "toy"] and data.classnames == sorted(CLASSES)
    assert {item.domain for item in data.train_x} == {0, 1, 2} and not data.train_u


def test_source_trains_and_target_tests_without_overlap(domains):
    data = load(domains, "ImageFolder", SOURCE_DOMAINS=("photo", "toy"), TARGET_DOMAINS=("sketch",))
    assert {item.domain for item in data.train_x + data.val} == {0, 2}
    assert {item.domain for item in data.train_u + data.test} == {1}
    assert not set(names(data.train_u, domains)) & set(names(data.test, domains))
    whole = load(domains, "ImageFolder")
    assert names(data.test, domains) == [n for n in names(whole.test, domains) if n.startswith("sketch/")]


def test_the_other_domains_are_the_target(domains):
    data = load(domains, "ImageFolder", SOURCE_DOMAINS=("photo",))
    assert {item.domain for item in data.test} == {1, 2}


def test_a_target_without_images_of_its_own_to_test_on_is_named(tmp_path):
    class_folders(tmp_path / "train" / "photo", {"a": 3, "b": 3})
    class_folders(tmp_path / "train" / "sketch", {"a": 3, "b": 3})
    class_folders(tmp_path / "test" / "photo", {"a": 3, "b": 3})
    with pytest.raises(UserError, match="no test image in the domain sketch"):
        load(tmp_path, "ImageFolder", SOURCE_DOMAINS=("photo",), TARGET_DOMAINS=("sketch",))


def test_domains_of_a_set_without_any(folder):
    with pytest.raises(UserError, match="has no domains"):
        load(folder, "ImageFolder", SOURCE_DOMAINS=("photo",))


# -- CSV ---------------------------------------------------------------------------


def test_a_csv_says_class_domain_group_and_split(folder):
    rows = [
        "cat/00.jpg,feline,photo,day,train",
        "cat/01.jpg,feline,photo,night,test",
        "zebra/00.jpg,equine,photo,day,train",
        f"{folder}/zebra/01.jpg,equine,photo,night,val",
        "zebra/02.jpg,equine,photo,night,test",
    ]
    data = load(table(folder, rows, header="path,class,domain,group,split"), "ImageFolder")
    assert data.classnames == ["equine", "feline"] and data.domains == ["photo"]
    assert [names(part, folder) for part in parts(data)] == [
        ["zebra/00.jpg", "cat/00.jpg"], ["zebra/01.jpg"], ["zebra/02.jpg", "cat/01.jpg"]
    ]  # fmt: skip
    assert data.group_names == ["day", "night"]
    assert [item.group for item in data.test] == [1, 1] and isinstance(data.test[0], datasets.GroupDatum)


def test_a_csv_may_have_blank_lines_quotes_semicolons_and_a_byte_order_mark(folder):
    path = folder / "list.csv"
    path.write_bytes(
        '\ufeffpath;class\r\n\r\n"cat/00.jpg";cat\r\ncat/01.jpg;cat\r\nzebra/00.jpg;z\r\nzebra/01.jpg;z\r\n'.encode()
    )
    assert load(folder, "ImageFolder", PATH="list.csv").classnames == ["cat", "z"]


def test_numbered_groups_keep_their_order(folder):
    rows = [f"barn_owl/{i:02d}.jpg,owl,{i},{'train' if i < 6 else 'test'}" for i in range(12)]
    data = load(table(folder, rows, header="path,class,group,split"), "ImageFolder")
    assert data.group_names == [str(i) for i in range(12)]
    assert [item.group for item in data.test] == list(range(6, 12))


GOOD = ["cat/00.jpg,cat", "cat/01.jpg,cat", "zebra/00.jpg,zebra", "zebra/01.jpg,zebra"]


@pytest.mark.parametrize(
    ("header", "row", "complaint"),
    [
        ("path,clas", "cat/02.jpg,cat", r"list\.csv, line 1: no column 'class'"),
        ("path,class,grp", "cat/02.jpg,cat,1", r"line 1: unknown column 'grp'; did you mean: group"),
        ("path,class,class", "cat/02.jpg,cat,cat", r"line 1: two columns are called 'class'"),
        ("path,class", "../secret.jpg,cat", r"line 6: the path '../secret.jpg' holds '\.\.'"),
        ("path,class", "cat/../../x.jpg,cat", r"line 6: the path .* holds '\.\.'"),
        ("path,class", "/etc/passwd,cat", r"line 6: the path '/etc/passwd' lies outside of"),
        ("path,class", "C:\\x.jpg,cat", r"line 6: the path .* lies outside of"),
        ("path,class", "cat/gone.jpg,cat", r"line 6: there is no image .*cat/gone\.jpg"),
        ("path,class", "cat/00.jpg,zebra", r"line 6: cat/00\.jpg is listed already in line 2"),
        ("path,class", "cat/02.jpg", r"line 6: 1 fields where the header has 2"),
        ("path,class", "cat/02.jpg,", r"line 6: class is empty"),
        ("path,class", 'cat/02.jpg,"cat', r"line 6: "),
    ],
)
def test_what_is_wrong_in_a_csv_is_named_by_line(folder, header, row, complaint):
    extra = header.count(",") - 1
    path = table(folder, [*(line + ",1" * extra for line in GOOD), row], header=header)
    with pytest.raises(UserError, match=complaint):
        load(path, "ImageFolder")


def test_an_unknown_split_is_named_by_line(folder):
    rows = ["cat/00.jpg,cat,train", "cat/01.jpg,cat,tset"]
    with pytest.raises(UserError, match=r"line 3: split is 'tset'; it can be train, val or test"):
        load(table(folder, rows, header="path,class,split"), "ImageFolder")


def test_a_csv_that_is_no_text_is_named(folder):
    (folder / "list.csv").write_bytes(b"path,class\n\xff\xfe\x00")
    with pytest.raises(UserError, match=r"cannot read .*list\.csv"):
        load(folder, "ImageFolder", PATH="list.csv")


# -- names -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("names.txt", "barn_owl\towl, barn\ncat,house cat\n"),
        ("names.json", json.dumps({"barn_owl": "owl, barn", "cat": "house cat"})),
    ],
)
def test_a_file_names_the_classes(folder, file, content):
    (folder.parent / file).write_text(content)
    data = load(folder, "ImageFolder", CLASSNAMES=str(folder.parent / file))
    assert data.classnames == ["owl, barn", "house cat", "zebra"]


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("names.txt", "cat\thouse cat\nzebr\tstripes\n", r"names\.txt, line 2: .* 'zebr'; did you mean: zebra"),
        ("names.txt", "cat\thouse cat\ncat\tlion\n", r"names\.txt, line 2: 'cat' has been named before"),
        ("names.txt", "cat\n", r"names\.txt, line 1: expected a folder, a tab or comma, and a name"),
        ("names.txt", "cat\tZebra\n", r"the same name.*'cat' \(.*names\.txt, line 1\) and 'zebra' \(its folder\)"),
        ("names.json", '{"cat": "a", "cat": "b"}', r"names\.json, 'cat': 'cat' has been named before"),
        ("names.json", '["cat"]', r"should hold one JSON object"),
        ("names.json", '{"cat": ', r"is not valid JSON"),
    ],
)
def test_faults_of_a_names_file_are_named_by_line(folder, file, content, complaint):
    path = folder.parent / file
    path.write_text(content)
    with pytest.raises(UserError, match=complaint):
        load(folder, "ImageFolder", CLASSNAMES=str(path))


def test_folders_that_read_alike_are_one_name_twice(tmp_path):
    class_folders(tmp_path, {"Barn owl": 3, "barn_owl": 3})
    with pytest.raises(UserError, match="two classes have the same name"):
        load(tmp_path, "ImageFolder")


def test_the_template_can_be_set(folder):
    data = load(folder, "ImageFolder", TEMPLATE="a sketch of a {}.")
    assert datasets.template_for(data.cfg, data) == "a sketch of a {}."


# -- folders that are none of the layouts ------------------------------------------


def empty_class(base):
    class_folders(base)
    (base / "dodo").mkdir()


def loose_images(base):
    draw(base / "1.jpg")


def mixed_depth(base):
    class_folders(base, {"a": 2})
    class_folders(base / "deeper", {"b": 2})


def both_at_once(base):
    class_folders(base, {"a": 2, "b": 2})
    draw(base / "a" / "more" / "1.jpg")


def too_deep(base):
    class_folders(base / "x" / "y", {"a": 2})
    class_folders(base / "z" / "y", {"a": 2})


def odd_beside_splits(base):
    class_folders(base / "train", {"a": 2})
    class_folders(base / "test", {"a": 2})
    (base / "labels").mkdir()


def class_never_trained(base):
    class_folders(base / "train", {"a": 2})
    class_folders(base / "test", {"a": 2, "b": 2})


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (empty_class, "the class folder .*dodo holds no image"),
        (loose_images, r"holds images itself \(1\.jpg\)"),
        (mixed_depth, "'a' holds images, 'deeper' holds folders"),
        (both_at_once, r"a holds images \(00\.jpg\) and folders \(more\)"),
        (too_deep, "x/y holds folders again; .*give the folder that holds the class folders, e.g. .*/mine/x/y"),
        (odd_beside_splits, "beside them 'labels'"),
        (class_never_trained, r"label 1 \('b', e\.g\. test/b/00\.jpg\) has no training image"),
        (lambda base: base.mkdir(), "holds no class folders"),
        (lambda base: None, "does not exist"),
    ],
)
def test_a_folder_that_is_none_of_the_layouts(tmp_path, make, complaint):
    make(tmp_path / "mine")
    with pytest.raises(UserError, match=complaint):
        load(tmp_path / "mine", "ImageFolder")


def test_no_folder_given():
    with pytest.raises(UserError, match="set --root"):
        load("", "ImageFolder")


def test_tools_read_a_yaml_of_a_folder_layout_where_it_says(domains, tmp_path, capsys):
    """``pacs`` is PACS below the root, whatever else lies there."""
    domains.rename(tmp_path / "PACS")
    class_folders(tmp_path / "something_else")
    assert main(["check", "pacs", "--root", str(tmp_path)]) == 0
    count = 3 * sum(CLASSES.values())
    parts = re.search(r"3 classes, (\d+) train, (\d+) val, (\d+) test", capsys.readouterr().out)
    assert sum(map(int, parts.groups())) == count
    assert main(["show", "pacs", "--root", str(tmp_path), "--out", str(tmp_path / "sheet.png")]) == 0
    assert "photo" in capsys.readouterr().out and (tmp_path / "sheet.png").is_file()
    # The last word is that of the command line.
    assert main(["check", "pacs", "--root", str(tmp_path), "DATASET.PATH", "something_else/cat"]) == 1


def test_each_choice_of_domains_keeps_its_draw(domains, capsys):
    """Leaving out one domain after the other, and again, draws each time only once."""
    drawn = {}
    for again in (False, True):
        for target in ("photo", "sketch", "toy"):
            data = load(domains, "ImageFolder", shots=2, TARGET_DOMAINS=(target,))
            said = capsys.readouterr().out
            assert ("as drawn before" in said) == again and ("drawn now" in said) != again
            assert drawn.setdefault(target, names(data.train_x, domains)) == names(data.train_x, domains)
            assert not any(name.startswith(target) for name in drawn[target])


# -- trees as people really have them ------------------------------------------------


def test_an_image_beside_the_class_folders_is_named_and_left_out(folder, capsys):
    draw(folder / "notes.jpg")
    data = load(folder, "ImageFolder")
    assert data.classnames == sorted(CLASSES)
    assert f"Ignoring 1 image(s) beside the class folders in {folder}: notes.jpg" in capsys.readouterr().out


@pytest.mark.parametrize("layout", ["classes", "domains", "csv"])
def test_a_name_in_two_unicode_forms_is_one_class(tmp_path, capsys, layout):
    forms = [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")]
    assert forms[0] != forms[1]
    base = tmp_path / "mine"
    for number, form in enumerate(forms):
        inner = base / ("photo" if layout == "domains" else ".")
        class_folders(inner, {form: 6})
        for index in range(6):
            (inner / form / f"{index:02d}.jpg").rename(inner / form / f"{number}{index}.jpg")
    class_folders(inner, {"tea": 6})
    options = {}
    if layout == "csv":
        rows = [f"{form}/{n}{k}.jpg,{form}" for n, form in enumerate(forms) for k in range(6)]
        table(base, rows + [f"tea/{k:02d}.jpg,tea" for k in range(6)])
        options = {"PATH": "list.csv"}
    data = load(base, "ImageFolder", **options)
    assert data.classnames == [forms[0], "tea"]
    assert Counter(item.label for part in parts(data) for item in part) == {0: 12, 1: 6}
    assert "'café' is written in two Unicode forms, which are read as one" in capsys.readouterr().out


def test_a_class_is_named_in_either_form(tmp_path):
    class_folders(tmp_path / "mine", {unicodedata.normalize("NFD", "café"): 6, "tea": 6})
    (tmp_path / "names.txt").write_text(unicodedata.normalize("NFC", "café") + ",coffee house\n")
    data = load(tmp_path / "mine", "ImageFolder", CLASSNAMES=str(tmp_path / "names.txt"))
    assert data.classnames == ["coffee house", "tea"]


def test_names_that_differ_in_form_alone_are_one_name(tmp_path):
    class_folders(tmp_path / "mine", {"a": 2, "b": 2})
    forms = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    (tmp_path / "names.txt").write_text("\n".join(f"{key},{name}" for key, name in zip("ab", forms)))
    with pytest.raises(UserError, match="two classes have the same name"):
        load(tmp_path / "mine", "ImageFolder", CLASSNAMES=str(tmp_path / "names.txt"))


@pytest.mark.parametrize("wrapping", ["cars_train", "cars_train/cars_train"])
def test_folders_of_an_archives_name_around_everything_are_understood(tmp_path, capsys, wrapping):
    class_folders(tmp_path / wrapping, {"audi": 6, "bmw": 6})
    data = load(tmp_path, "ImageFolder")
    assert data.classnames == ["audi", "bmw"] and len(data.domains) == 1
    assert ("which is all that" in capsys.readouterr().out) == ("/" in wrapping)


def test_split_folders_may_be_wrapped_too(tmp_path):
    for part, count in (("train", 5), ("test", 3)):
        class_folders(tmp_path / "cars" / part, {"audi": count, "bmw": count})
    data = load(tmp_path, "ImageFolder")
    assert [len(part) for part in parts(data)] == [10, 0, 6] and not data.domains


def test_domains_that_are_wrapped_are_known_before_a_run(tmp_path):
    from craft.datasets.readers.image_folder import domains_of_folders, from_folders

    for domain in ("photo", "sketch"):
        class_folders(tmp_path / "PACS" / domain, {"a": 2, "b": 2})
    assert domains_of_folders(tmp_path) == ["photo", "sketch"] == sorted({one.domain for one in from_folders(tmp_path)})


def test_what_a_mac_packs_beside_folders_is_passed_over(folder):
    (folder / "__MACOSX" / "cat").mkdir(parents=True)
    (folder / "__MACOSX" / "cat" / "._00.jpg").write_bytes(b"x")
    assert load(folder, "ImageFolder").classnames == sorted(CLASSES)


def test_links_in_a_circle_are_no_classes(folder):
    (folder / "circle").symlink_to("circle")
    assert load(folder, "ImageFolder").classnames == sorted(CLASSES)
    (folder / "cat" / "circle.jpg").symlink_to("circle.jpg")
    with pytest.raises(UserError, match=r"no such image: .*circle\.jpg"):
        load(folder, "ImageFolder")
    (folder / "cat" / "circle.jpg").unlink()
    (folder / "cat" / "up").symlink_to("..")
    assert len(list(images_below(folder))) == sum(CLASSES.values())


@pytest.mark.skipif(sys.platform == "darwin", reason="its file system takes UTF-8 names only")
@pytest.mark.parametrize("place", ["class", "image"])
def test_a_name_that_is_not_utf8_is_named(folder, place):
    os.rename(folder / "cat", os.fsencode(folder) + b"/caf\xe9") if place == "class" else os.rename(
        folder / "cat" / "00.jpg", os.fsencode(folder / "cat") + b"/caf\xe9.jpg"
    )
    with pytest.raises(UserError, match=r"the name of caf\\xe9.* is not UTF-8; rename it"):
        load(folder, "ImageFolder")


# -- images to evaluate on alone -----------------------------------------------------


@pytest.mark.parametrize("layout", ["test", "val and test", "csv"])
def test_images_without_a_training_part_are_all_evaluated_and_never_split(tmp_path, layout, capsys):
    base = tmp_path / "mine"
    if layout == "csv":
        class_folders(base)
        rows = [f"{name}/{i:02d}.jpg,{name},test" for name, count in CLASSES.items() for i in range(count)]
        table(base, rows, header="path,class,split")
        data = load(base, "ImageFolder", PATH="list.csv")
    else:
        for part in layout.split(" and "):
            class_folders(base / part)
        data = load(base, "ImageFolder", NUM_SHOTS=2)
    assert data.test_only and len(data.test) == sum(CLASSES.values())
    assert "it can only be evaluated" in capsys.readouterr().out
    assert len(data.val or []) == (sum(CLASSES.values()) if "val" in layout else 0)


def test_such_images_are_refused_for_training_and_evaluated(tmp_path, capsys):
    from tests.runs import metrics, run

    trained, only = class_folders(tmp_path / "trained"), class_folders(tmp_path / "only" / "test")
    yaml = ["--dataset-config-file", "image_folder", "--root"]
    assert run(tmp_path / "run", "CoOp", *yaml, str(trained)) == 0
    assert run(tmp_path / "no", "CoOp", *yaml, str(only.parent)) == 1
    assert "test images only" in capsys.readouterr().err
    assert (
        run(tmp_path / "yes", "CoOp", *yaml, str(only.parent), "--eval-only", "--model-dir", str(tmp_path / "run")) == 0
    )
    assert metrics(tmp_path / "yes")["split"]["test"] == sum(CLASSES.values())


def test_the_log_says_how_many_of_the_images_are_learned_from(folder, capsys):
    load(folder, "ImageFolder", NUM_SHOTS=2)
    assert "Training images: 6 of 19 (DATASET.NUM_SHOTS -1 takes all)" in capsys.readouterr().out
    load(folder, "ImageFolder", NUM_SHOTS=-1)
    assert "Training images" not in capsys.readouterr().out
