"""Zero-shot runs against published numbers: near, far and why, and what cannot be compared. Numbers are invented or, by
hand, those that the CoCoOp paper has of CLIP with ViT-B/16."""

import re

import pytest

from craft.lab.results import command, sheets, zeroshot
from craft.lab.results.collect import collect
from craft.lab.results.report import page
from craft.lab.results.tables import build
from tests.lab.results.fake import write_run

CALTECH = {"base": 96.84, "new": 94.00}  # published, ViT-B/16


def base2new(root, base, new, label="caltech101", name="Caltech101", classes=50, **more):
    for phase, half, value in (("train_base", "base", base), ("test_new", "new", new)):
        write_run(root, f"base2new/{phase}", label, "ZeroshotCLIP", 1, value, name=name, half=half, config="base2new",
                  classes=classes, mode="evaluate", **more)  # fmt: skip
    return collect(root)


def by_part(results):
    return {one.part: one for one in zeroshot.checks(results)}


def verdicts(results):
    return {part: one.verdict for part, one in by_part(results).items()}


@pytest.mark.parametrize(
    ("base", "verdict"),
    [(96.84, "near"), (97.84, "near"), (95.84, "near"), (97.85, "far"), (95.83, "far"), (5.0, "far")],
)
def test_far_is_more_than_a_point_on_either_side(tmp_path, base, verdict):
    assert verdicts(base2new(tmp_path, base, 94.0)) == {"base": verdict, "new": "near"}


def test_all_classes_have_a_number_where_a_paper_has_one(tmp_path):
    write_run(tmp_path, "few_shot", "imagenet", "ZeroshotCLIP", 1, 66.7, name="ImageNet", classes=1000)
    write_run(tmp_path, "few_shot", "caltech101", "ZeroshotCLIP", 1, 93.0, classes=100)
    found = {one.result.data.name: one for one in zeroshot.checks(collect(tmp_path))}
    assert found["ImageNet"].verdict == "near" and found["ImageNet"].expected.value == 66.73
    assert "Table 3" in found["ImageNet"].expected.source
    assert found["Caltech101"].verdict == "cannot be compared"
    assert "(all classes) is known here; one is known of its classes: base, new" in found["Caltech101"].why
    assert zeroshot.known_parts("ImageNet", "ViT-B/16") == ["all", "base", "new"]
    assert zeroshot.known_parts("Caltech101", "ViT-B/16") == ["base", "new"]
    assert zeroshot.known_parts("Caltech101", "RN50") == zeroshot.known_parts("Digits", "ViT-B/16") == []


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"backbone": "demo"}, "demonstration's backbone"),
        ({"backbone": "RN50"}, "published numbers are known here of ViT-B/16, not of RN50"),
        ({"classes": 11}, "not the whole published set: subset: 11 of 50 classes"),
        ({"path": "elsewhere"}, "is not the published data set"),
        ({"label": "mine"}, "is not the published data set"),
        ({"results": "val"}, "validation images"),
        ({"name": "ImageFolder"}, "no published zero-shot number of ImageFolder"),
    ],
    ids=lambda value: str(value),
)
def test_what_cannot_be_compared_says_why(tmp_path, more, why):
    found = zeroshot.checks(base2new(tmp_path, 10.0, 10.0, **more))
    assert {one.verdict for one in found} == {"cannot be compared"} and all(why in one.why for one in found)
    assert not zeroshot.lines(collect(tmp_path))


def test_other_methods_and_runs_without_a_result_are_not_checked(tmp_path):
    write_run(tmp_path, "base2new/train_base", "caltech101", "CoOp", 1, 5.0, half="base", classes=50)
    write_run(tmp_path, "base2new/train_base", "caltech101", "ZeroshotCLIP", 1, 5.0, half="base", classes=50,
              state="failed", metrics=False)  # fmt: skip
    assert not zeroshot.checks(collect(tmp_path))


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"digests": {"made_here": True}}, "its split was made here, not read from the published split_zhou_Caltech"),
        ({"settings": [("DATASET.TEMPLATE", "{}.")]}, "DATASET.TEMPLATE is '{}.', the data set's own is 'a photo of"),
        ({"settings": [("INPUT.INTERPOLATION", "bilinear")]}, "INPUT.INTERPOLATION is bilinear"),
        ({"settings": [("DATASET.BAD_IMAGES", "skip")]}, "cannot be read"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_cause_that_the_record_tells_is_named(tmp_path, more, told):
    base = by_part(base2new(tmp_path, 60.0, 94.0, **more))["base"]
    assert base.verdict == "far" and any(told in line for line in base.told)
    assert any(told in line for line in zeroshot.lines(collect(tmp_path)))


def test_a_usual_setting_is_no_cause(tmp_path):
    usual = [
        ("DATASET.TEMPLATE", "a photo of a {}."),
        ("INPUT.INTERPOLATION", "bicubic"),
        ("DATASET.BAD_IMAGES", "error"),
    ]
    base = by_part(base2new(tmp_path, 60.0, 94.0, settings=usual, digests={"made_here": False}))["base"]
    assert base.verdict == "far" and not base.told


def test_a_number_that_is_anothers_says_whose(tmp_path):
    new, base = zeroshot.checks(base2new(tmp_path, 94.3, 3.0))
    assert base.told == ("its number is that of new classes (published 94.00), not of base",)
    assert "hardly above chance (2.00 with 50 classes)" in new.told[0]


def test_the_facts_of_a_run_are_named(tmp_path):
    digests = {"made_here": False, "classnames": "abc", "test": 1549}
    facts = dict(by_part(base2new(tmp_path, 60.0, 94.0, digests=digests))["base"].facts)
    assert facts["test images"] == "1,549 (published set: 2,465 of all classes)"
    assert facts["split"] == "split1 read" and facts["class names"] == "abc"
    assert facts["template"] == "a photo of a {}." and facts["weights"] == "ViT-B/16"


# -- where it is shown ------------------------------------------------------------------------------------------------


def test_a_tables_foot_shows_it(tmp_path, capsys):
    base2new(tmp_path, 96.0, 50.0)
    base2new(tmp_path, 53.0, 60.0, label="dtd", name="DescribableTextures", classes=None)
    assert command.main(["table", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "  Caltech101: zero-shot check FAILED, new 50.00, published 94.00: data, templates or weights" in said
    assert "  Caltech101: zero-shot check passed, base 96.00, published 96.84\n" in said
    # Published of DTD: 53.24 and 59.90.
    assert (
        "  DescribableTextures: zero-shot check passed, base 53.00, published 53.24; new 60.00, published 59.90" in said
    )
    assert "Caltech101: Caltech101:" not in said


def test_the_farthest_of_several_seeds_counts(tmp_path):
    for seed, value in ((1, 96.8), (2, 90.0), (3, 96.0)):
        write_run(tmp_path, "base2new/train_base", "caltech101", "ZeroshotCLIP", seed, value, half="base", classes=50)
    ((one),) = zeroshot.worst(zeroshot.checks(collect(tmp_path)))
    assert one.accuracy == 90.0 and one.verdict == "far"


def test_the_report_shows_it(tmp_path):
    def html(results):
        return page(results, build(results), [], "x")

    far = html(base2new(tmp_path / "far", 60.0, 94.0))
    assert 'id="zeroshot"' in far and "templates or weights are not the published ones" in far
    assert all(cause.split(",")[0].replace("'", "&#39;") in far for cause in zeroshot.CAUSES)
    row = re.search(r"<tr><th scope=row>Caltech101, base</th>.*?</tr>", far)[0]
    assert "60.00" in row and "96.84" in row and "far" in row
    near = html(base2new(tmp_path / "near", 96.0, 94.0))
    assert 'id="zeroshot"' in near and "not the published ones" not in near
    toy = html(base2new(tmp_path / "toy", 96.0, 94.0, backbone="demo"))
    assert 'id="zeroshot"' not in toy


def test_a_line_about_one_data_set_names_it_once(tmp_path):
    for label, name, classes in (("sun397", "SUN397", 11), ("caltech101", "Caltech101", 50)):
        base2new(tmp_path, 60.0, 50.0, label=label, name=name, classes=classes)
    (sheet,) = sheets.compact(build(collect(tmp_path)))
    assert sum(line.startswith("SUN397 (subset): not the published set") for line in sheet.remarks) == 1
