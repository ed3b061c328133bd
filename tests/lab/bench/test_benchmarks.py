"""craft bench: a small run, wrong paths noticed, the plain path as published, and the numbers in between."""

import json

import pytest
import torch
import torch.nn.functional as F
from yacs.config import CfgNode

from craft.clip.openai import tokenize
from craft.clip.products import linear
from craft.lab.bench import flops, machine, measure, plain, quantities, summary, worker
from craft.lab.bench.command import main
from craft.lab.bench.names import class_names
from craft.lab.bench.specs import TRAINERS
from craft.lab.bench.targets import SITUATION, TARGETS, Target
from craft.objective import CraftTerms
from craft.terms import defaults
from tests import test_golden
from tests.test_golden import CASES, backbone  # noqa: F401 (a fixture)

SMALL = ["--quick", "--classes", "3", "5", "--repeats", "1"]


def spec(**more):
    return {"backbone": "demo", "trainer": "MaPLeCraft", "classes": 4, "batch": 3, "repeats": 1, **more}


def test_quick_run(tmp_path, capsys):
    """Checks, all kinds of times, the table, and three files; on no machine but the targets' own are these quoted."""
    assert main([*SMALL, "--out", str(tmp_path)]) == 0
    out, progress = capsys.readouterr()
    assert "MaPLeCraft step, 5 classes, plain:" in progress
    assert "CoOpCraft" in out and "building PromptSRCCraft, cached" in out and "GFLOP/s" in out
    assert "wanted" not in out
    assert out.startswith((tmp_path / "benchmarks.txt").read_text())
    document = json.loads((tmp_path / "benchmarks.json").read_text())
    assert {(one["trainer"], one["classes"]) for one in document["checks"]} == {
        (t, c) for t in TRAINERS for c in (3, 5)
    }
    assert max(one["gradients"] for one in document["checks"]) <= measure.GRADIENTS
    assert len(document["results"]) == 3 * 2 * 2 + 2 + 3 + 2
    loaded = quantities.loads(document["results"])
    assert set(loaded) == {"plain", "ours"} and "loading 8 JPEG, batch 4, 1 workers" in out
    assert document["quantities"]["load"] == loaded["plain"]["seconds"] / loaded["ours"]["seconds"]
    assert all(one["seconds"] > 0 for one in document["results"])
    for trainer in TRAINERS:
        plain_step, ours = (
            quantities.find(document["results"], "step", trainer, 5, path) for path in ("plain", "ours")
        )
        assert ours["loss"] == pytest.approx(plain_step["loss"], rel=1e-5)
        assert ours["flops"] < plain_step["flops"] / 2
        assert document["quantities"][f"step/{trainer}/5"] == plain_step["seconds"] / ours["seconds"]
    assert (tmp_path / "benchmarks.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"benchmarks.{end}" for end in ("json", "png", "txt")]


def detached(self, labels):
    return self.text[labels].detach()


@pytest.mark.parametrize(
    ("trainer", "where", "name", "wrong", "noticed"),
    [
        ("MaPLeCraft", plain, "behind_start", lambda x, states: x, "loss "),
        ("PromptSRCCraft", plain, "at_the_end", lambda x, states: x, "loss "),
        ("PromptSRCCraft", plain.openai, "tokenize", None, "text target"),
        ("CoOpCraft", plain.PlainFeatures, "text_of", detached, "gradient of ctx"),
        ("CoOpCraft", plain.PlainPath, "logits", lambda self, x: self.features(x).logits + 1e-3, "in evaluation"),
    ],
)
def test_a_wrong_path_is_noticed_and_nothing_timed(trainer, where, name, wrong, noticed, tmp_path, capsys, monkeypatch):
    if wrong is None:  # the first word of every text is lost
        right = plain.openai.tokenize

        def wrong(texts, *args, **kwargs):
            if isinstance(texts, list) and len(texts) > 1:
                texts = [text.split(" ", 1)[-1] for text in texts]
            return right(texts, *args, **kwargs)

    monkeypatch.setattr(where, name, wrong)
    assert main([*SMALL, "--trainers", trainer, "--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and trainer in error
    assert noticed in error and "nothing was timed" in error
    assert not list(tmp_path.iterdir())


def test_paths_that_part_with_more_classes_than_were_checked(tmp_path, capsys, monkeypatch):
    """Beyond the checked number of classes the losses of the timed steps are compared."""
    right = plain.PlainPath.features

    def features(self, images):
        out = right(self, images)
        out.logits = out.logits + (torch.arange(out.logits.shape[1]) > 101)  # shifts all where it shifts any
        return out

    monkeypatch.setattr(plain.PlainPath, "features", features)
    options = ["--quick", "--trainers", "CoOpCraft", "--repeats", "1", "--kinds", "step", "--out", str(tmp_path)]
    assert main([*options, "--classes", "4", "104"]) == 1
    assert "CoOpCraft step, 104 classes, ours: loss" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", [n for n, case in sorted(CASES.items()) if set(case["trainer_config"]) <= set(plain.STRUCTURES)]
)
def test_plain_path_is_the_published_one(name, backbone, monkeypatch):  # noqa: F811
    """Its losses are those recorded from the published trainers."""
    case = CASES[name]
    learner = test_golden.build(case, backbone, monkeypatch)
    node = CfgNode({**defaults(), "STATIC_WEIGHT": 0.0, "STOCHASTIC_WEIGHT": 0.0})
    path = plain.PlainPath(backbone.module, learner, CraftTerms(node, learner))
    images, labels = test_golden.images_of(case["case"], len(case["labels"])), torch.tensor(case["labels"])
    terms = path.terms(images, labels)
    if not {"batch_text", "target_images"} & set(case):  # Craft's release has terms that the plain path has not
        terms["total"] = sum(terms.values())
    expected = {test_golden.RELEASE_TERMS.get(k, k): value for k, value in case["losses_per_step"][0].items()}
    compared = set(terms) & set(expected)
    assert compared & {"cross_entropy", "total"}
    for key in compared:
        assert terms[key].item() == pytest.approx(expected[key], abs=test_golden.LOSSES), key
    with torch.no_grad():
        logits = path.logits(images)
    torch.testing.assert_close(logits, torch.tensor(case["eval_logits_before"]), atol=test_golden.LOGITS, rtol=0)


def test_own_process_knows_its_memory_and_its_start(tmp_path):
    found = worker.in_its_own(spec(kind="step", path="ours"), str(tmp_path))
    assert 1e8 < found["peak"] < machine.total()
    assert 0 < found["first_seconds"] < found["to_first_step"]


def test_plain_step_that_does_not_fit_is_left_out(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(machine, "available", lambda: 1e8)
    assert main([*SMALL, "--trainers", "MaPLeCraft", "--kinds", "step", "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "left out: MaPLeCraft step, 5 classes, plain: would need about 1 GB; 0 GB are free" in out
    document = json.loads((tmp_path / "benchmarks.json").read_text())
    assert "step/MaPLeCraft/5" not in document["quantities"]


def test_errors_name_what_is_wrong(tmp_path, capsys):
    assert main([*SMALL, "--backbone", "random:ViT-B/61", "--out", str(tmp_path)]) == 1
    assert "did you mean: ViT-B/16" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*SMALL, "--classes", "0"])
    assert "0 is not 1 or more" in capsys.readouterr().err


def test_class_names_are_one_sequence():
    names = class_names(300)
    assert len(set(names)) == 300 and names[:40] == class_names(40)
    lengths = [len(row) - 2 for row in tokenize(names)]
    assert 2 <= sum(lengths) / len(lengths) <= 2.5 and max(lengths) <= 7  # ImageNet: 1.9 and 7


def test_counting_operations():
    """Two for every multiplication and addition: products, their gradients, and the CPU's attention."""
    left, right = torch.randn(3, 5, requires_grad=True), torch.randn(5, 7)
    assert flops.count(lambda: left @ right) == 2 * 3 * 5 * 7
    assert flops.count(lambda: (left @ right).sum().backward()) == 2 * 2 * 3 * 5 * 7
    weight = torch.randn(7, 5)  # frozen: its gradient is not computed
    assert flops.count(lambda: linear(left, weight).sum().backward()) == 2 * 2 * 3 * 5 * 7
    q, k, v = torch.randn(2, 4, 6, 8), torch.randn(2, 4, 9, 8), torch.randn(2, 4, 9, 8)
    attention = 2 * (2 * 2 * 4 * 6 * 9 * 8)
    assert flops.count(lambda: F.scaled_dot_product_attention(q, k, v)) == attention


def timed(path, classes, seconds, **more):
    return {"kind": "step", "trainer": "MaPLeCraft", "classes": classes, "path": path, "seconds": seconds, **more}


def test_quantities_and_verdicts():
    """Ratios by hand; slopes between the ends that both paths have; the targets of the one situation they are for."""
    results = [
        timed("plain", 10, 5.0, peak=3e9),
        timed("ours", 10, 2.0, peak=1e9),
        timed("plain", 100, 23.0, peak=6e9),
        timed("ours", 100, 2.9, peak=2.1e9),
        {"kind": "step", "trainer": "MaPLeCraft", "classes": 1000, "path": "plain", "left_out": "too large"},
        timed("ours", 1000, 9.0, peak=4.5e9),
    ]
    known = quantities.quantities(results)
    assert known["step/MaPLeCraft/100"] == pytest.approx(23 / 2.9)
    assert known["class/MaPLeCraft"] == pytest.approx((18 / 90) / (0.9 / 90))
    assert known["memory/MaPLeCraft/100"] == pytest.approx(0.35)
    assert known["peak/MaPLeCraft/1000"] == pytest.approx(4.5)
    assert "step/MaPLeCraft/1000" not in known
    assert "class/MaPLeCraft" not in quantities.quantities(
        [
            timed("plain", 10, 2.0),
            timed("plain", 20, 1.0),
            *(timed("ours", classes, 1.0 + classes) for classes in (10, 20)),
        ]
    )  # less for more classes: noise, no ratio
    facts = {
        "processor": "P",
        "memory": 1,
        "products": "torch's own",
        "torch": "2",
        "name_tokens": {"mean": 1, "most": 2},
        **SITUATION,
    }
    document = {"facts": facts, "batch": 4, "repeats": 5, "rate": 1e9, "checks": [], "results": results}
    text = summary.tables(document)
    verdicts = {line.split()[0]: line for line in text.splitlines() if " >= " in line or " <= " in line}
    assert set(verdicts) == {target.quantity for target in TARGETS}
    assert verdicts["class/MaPLeCraft"].endswith("missed by 20%")
    assert verdicts["step/MaPLeCraft/100"].endswith(" met")
    assert verdicts["step/CoOpCraft/400"].endswith("not measured")
    facts["threads"] = 8
    assert "wanted" not in summary.tables(document)
    assert Target("peak", 6.0, at_least=False, unit="GB").verdict(7.5) == "missed by 25%"
