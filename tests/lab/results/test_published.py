"""Published numbers: the files are whole, and each stands only beside runs of its setting."""

import pytest
import yaml

from craft.datasets import READERS
from craft.lab.results.collect import collect
from craft.lab.results.published import CLAIMS, FOLDER, tables
from craft.lab.results.tables import build
from craft.lab.sweeps.catalogue import BENCHMARKS, PROTOCOLS
from craft.trainers.structures import STRUCTURES
from tests.lab.results.fake import checkpoint, write_run

NAMES = (
    "ImageNet Caltech101 OxfordPets StanfordCars OxfordFlowers Food101 FGVCAircraft SUN397 DescribableTextures "
    "EuroSAT UCF101"
)


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.file)
def test_each_file_names_its_source_and_its_values_are_whole(table):
    assert table.paper and table.arxiv and table.table and table.backbone == "ViT-B/16" and table.shots == 16
    assert table.table == "README" or "not checked" in table.note
    assert table.protocol in {protocol.table.published for protocol in PROTOCOLS.values()}
    assert table.source == ("" if table.protocol == "base2new" else "imagenet")
    assert all(name in READERS for name in table.datasets)
    metrics = {"base", "new", "H"} if table.protocol == "base2new" else {"accuracy"}
    for name, methods in table.values.items():
        assert name == "average" or name in READERS
        for method, values in methods.items():
            assert method in STRUCTURES and set(values) == metrics
            assert all(0 < value < 100 for value in values.values())
            if "H" in values:
                base, new = values["base"], values["new"]
                # base and new are rounded to 0.005 each, H too; an average's H may be of averages over seeds
                assert 2 * base * new / (base + new) == pytest.approx(values["H"], abs=0.03)
    assert all(method in STRUCTURES for method in table.epochs)


def test_averages_are_those_of_their_tables_and_nothing_is_there_twice():
    seen = set()
    for table in tables():
        for name, methods in table.values.items():
            for method, values in methods.items():
                for metric in values:
                    key = (table.protocol, name, method, metric, table.epochs_of(method, name))
                    assert key not in seen
                    seen.add(key)
                    parts = [table.values.get(one, {}).get(method, {}).get(metric) for one in table.datasets]
                    if name == "average" and metric != "H" and None not in parts:
                        assert sum(parts) / len(parts) == pytest.approx(values[metric], abs=0.02)
    assert len(seen) == 309  # 318 rows there were; six of an unknown backbone left, three are claims


def test_no_other_file_lies_there():
    assert {path.name for path in FOLDER.iterdir()} == {table.file for table in tables()} | {CLAIMS.name}
    assert set(yaml.safe_load(CLAIMS.read_text())) == {"source", "backbone", "shots", "largest_gain"}


# -- beside ours ------------------------------------------------------------------------------------------------------


def base2new(root, trainer="CoOp", label="caltech101", name="Caltech101", seed=1, epochs=200, classes=50, **more):
    more = {"settings": [("OPTIM.MAX_EPOCH", epochs)], "config": "base2new", "name": name, **more}
    for phase, half in (("train_base", "base"), ("test_new", "new")):
        write_run(
            root, f"base2new/{phase}", label, trainer, seed, 60.0, half=half, classes=classes, mode="train", **more
        )
    return build(collect(root), "base2new")


def test_beside_runs_of_their_setting_with_paper_and_table(tmp_path):
    (grid,) = base2new(tmp_path)
    assert {column: grid.published[("CoOp", column)].value for column in grid.columns} == {
        "base": 98.00, "new": 89.81, "H": 93.73,
    }  # fmt: skip
    source = grid.published[("CoOp", "base")].source
    assert "2203.05557" in source and "Table 1" in source and "original table not checked" in source


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"backbone": "demo"}, "their backbone is ViT-B/16, here demo"),
        ({"backbone": "RN50"}, "here RN50"),
        ({"shots": 4}, "they are of 16 shots, these of 4"),
        ({"epochs": 2}, "they are of 200 epochs, these of 2"),
        ({"classes": 11}, "is not the published data set"),
        ({"label": "mine"}, "is not the published data set"),
        ({"path": "elsewhere"}, "is not the published data set"),
        ({"results": "val"}, "validation images"),
    ],
    ids=lambda value: str(value),
)
def test_not_beside_runs_of_another(tmp_path, more, said):
    (grid,) = base2new(tmp_path, **more)
    assert not grid.published
    assert any(note.startswith("no published numbers beside CoOp: ") and said in note for note in grid.notes)


def test_an_rn50_folder_of_coops_scripts_is_not_beside_vit(tmp_path):
    for phase in ("train_base", "test_new"):
        folder = tmp_path / f"base2new/{phase}/caltech101/shots_16/CoOp/rn50_ep50/seed1"
        folder.mkdir(parents=True)
        (folder / "log.txt").write_text("=> result\n* accuracy: 51.3%\n")
    (grid,) = build(collect(tmp_path))
    assert grid.values[("CoOp", "base")] == {1: 51.3} and not grid.published


def test_ivlps_two_published_settings_are_told_apart_by_their_epochs(tmp_path):
    for label in BENCHMARKS:
        name = dict(zip(BENCHMARKS, NAMES.split()))[label]
        half = (READERS[name].expected.classes + 1) // 2
        for phase, part, classes in (
            ("train_base", "base", half),
            ("test_new", "new", READERS[name].expected.classes - half),
        ):
            write_run(tmp_path, f"base2new/{phase}", label, "IVLP", 1, 60.0, half=part, classes=classes, name=name,
                      settings=[("OPTIM.MAX_EPOCH", 20)], mode="train")  # fmt: skip
    *grids, average = build(collect(tmp_path))
    assert [grid.of["dataset"] for grid in grids] == NAMES.split()
    assert average.published[("IVLP", "base")].value == 84.21
    assert "2307.06948" in average.published[("IVLP", "base")].source


def test_no_average_of_eleven_other_data_sets(tmp_path):
    for label in (*BENCHMARKS[:-1], "birds"):
        name = dict(zip(BENCHMARKS, NAMES.split())).get(label, "ImageFolder")
        write_run(tmp_path, "base2new/train_base", label, "CoOp", 1, 60.0, half="base", name=name)
        write_run(tmp_path, "base2new/test_new", label, "CoOp", 1, 60.0, half="new", name=name, mode="train")
    average = build(collect(tmp_path))[-1]
    assert "average over 11" in average.title and not average.published


def test_transfer_from_another_source_is_not_beside_imagenets(tmp_path):
    for root, source, name, shown in (("a", "imagenet", "ImageNet", True), ("b", "caltech101", "Caltech101", False)):
        trained = write_run(tmp_path / root, "cross_dataset/train", source, "CoOp", 1, 90.0, name=name)
        write_run(tmp_path / root, "cross_dataset/test", "dtd", "CoOp", 1, 40.0, name="DescribableTextures",
                  model=checkpoint(trained), timing=("2026-01-02", "2026-01-03"))  # fmt: skip
        (grid,) = build(collect(tmp_path / root), "cross_dataset")
        assert (("CoOp", "DescribableTextures") in grid.published) is shown
        assert (("CoOp", f"{name} (source)") in grid.published) is shown
    # Together they are rows of their own, never one.
    (grid,) = build(collect(tmp_path), "cross_dataset")
    cells = [cell for (_, column), cell in grid.values.items() if column == "DescribableTextures"]
    assert all(len(cell) <= 1 for cell in cells) and len(cells) == 2


def test_crafts_claims_stand_below_its_own_setting_only(tmp_path):
    def said(root, name, label, **more):
        write_run(root, "ood", label, "CoOpCraftOOD", 1, 60.0, name=name, **more)
        return [note for grid in build(collect(root), "ood") for note in grid.notes if "largest gain" in note]

    assert said(tmp_path / "a", "ImageNetOOD", "imagenet_ood-v2", targets=("v2",)) == [
        "published of Craft (Craft, arXiv 2407.15894, abstract): largest gain 2.7 points"
    ]
    assert not said(tmp_path / "b", "ImageFolder", "pacs")
    assert not said(tmp_path / "c", "ImageNetOOD", "imagenet_ood-v2", targets=("v2",), backbone="demo")
    assert not said(tmp_path / "d", "ImageNetOOD", "imagenet_ood-v2", targets=("v2",), shots=4)
