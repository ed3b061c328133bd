"""Whatever is switched off, the numbers are the same; and a switch does switch its optimisation off."""

import pytest
import torch

from craft.clip import TokenTable, load_backbone, text
from craft.clip.packing import Packing
from craft.common.errors import UserError
from craft.common.switches import OPTIMISATIONS, switched_off
from craft.datasets import loading
from craft.datasets.images import ReadableImages
from craft.prompts.context import prompt_rows
from craft.runs import record
from tests.runs import metrics, run

TWO_EPOCHS = ["DATASET.NUM_SHOTS", "1", "OPTIM.MAX_EPOCH", "2", "DATALOADER.NUM_WORKERS", "0"]
NAMES = ["zero", "a very large four", "seven of nine", "8"]


def features(backbone, table, context, deep, chunk=0):
    """Features of a table's texts, and the gradients of what they depend on."""
    leaves = [value.clone().requires_grad_() for value in (context, *deep)]
    out = backbone.encode_text(table.prompts(leaves[0], leaves[1:]), chunk)
    weights = torch.linspace(-1, 1, out.numel()).view_as(out)
    return out, *torch.autograd.grad((out * weights).sum(), leaves)


@pytest.mark.parametrize("names", ["packing", "prefix", "packing,prefix"])
@pytest.mark.parametrize("kind", ["shared", "class-specific", "per image"])
@pytest.mark.parametrize("chunk", [0, 3])
def test_texts_are_the_same(names, kind, chunk, without):
    backbone = load_backbone("demo")
    n_ctx, specific = 3, kind == "class-specific"
    rows = prompt_rows(backbone, NAMES, "X X X", n_ctx, "end", specific)
    table = TokenTable(backbone, rows)
    torch.manual_seed(0)
    slots = n_ctx * (len(NAMES) if specific else 1)
    context = torch.randn(*([2] if kind == "per image" else []), slots, backbone.text_width) * 0.1
    deep = [torch.randn(n_ctx, backbone.text_width) * 0.1 for _ in range(backbone.text_depth - 1)]
    expected = features(backbone, table, context, deep, chunk)
    without(names)
    for value, wanted in zip(features(backbone, table, context, deep, chunk), expected):
        torch.testing.assert_close(value, wanted, atol=1e-4, rtol=1e-4)


def test_chunks_of_picked_texts_end_where_they_ended(without):
    """`TokenTable.pick` pads texts, so a text ends before the end of its row; a piece must not forget that."""
    backbone = load_backbone("demo")
    table = TokenTable(backbone, backbone.tokenize([f"a photo of {name}" for name in NAMES]))
    prompts = table.pick(torch.tensor([3, 1, 0]))
    whole = backbone.encode_text(prompts)
    prompts.rest = prompts.rest.clone().requires_grad_()
    torch.testing.assert_close(backbone.encode_text(prompts, 2), whole, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("trainer", ["CoCoOpCraft", "KgCoOp", "MaPLeCraft", "PromptSRCCraft"])
def test_a_run_without_any_is_the_same_run(trainer, tmp_path, monkeypatch, without):
    monkeypatch.delenv("CRAFT_WITHOUT", raising=False)
    assert run(tmp_path / "with", trainer, settings=TWO_EPOCHS) == 0
    monkeypatch.setenv("CRAFT_CACHE", str(tmp_path / "cache"))
    without("all")
    assert run(tmp_path / "none", trainer, settings=TWO_EPOCHS) == 0
    ours, plain = metrics(tmp_path / "with"), metrics(tmp_path / "none")
    assert plain["results"]["test"] == pytest.approx(ours["results"]["test"], abs=0.15)  # one image of 719
    assert [epoch["loss"] for epoch in plain["history"]] == pytest.approx(
        [epoch["loss"] for epoch in ours["history"]], rel=1e-4
    )
    kept = {path.name for path in (tmp_path / "cache").iterdir()}
    assert kept == {"digits"}  # the images themselves
    assert record.read(tmp_path / "none")["without"] == list(OPTIMISATIONS)
    assert record.read(tmp_path / "with")["without"] == []
    # Not of a run's identity: it is the same run, and done.
    before = (tmp_path / "none/run.json").read_bytes()
    monkeypatch.delenv("CRAFT_WITHOUT")
    assert run(tmp_path / "none", trainer, settings=TWO_EPOCHS) == 0
    assert (tmp_path / "none/run.json").read_bytes() == before


def test_an_unknown_name_is_refused_before_anything_is_written(tmp_path, capsys, without):
    without("packing", "warp_drive")
    with pytest.raises(UserError, match="'warp_drive'; it can name"):
        switched_off()
    assert run(tmp_path / "run", "CoOp") == 1
    assert "CRAFT_WITHOUT=packing,warp_drive: no optimisation is called 'warp_drive'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_spaces_and_nothing(without):
    without(" onednn ", "", "packing ")
    assert switched_off() == ["packing", "onednn"]
    without("")
    assert switched_off() == []


def seen(name, tmp_path, monkeypatch, capsys):
    """Something that a run shows of the optimisation ``name``."""
    monkeypatch.setenv("CRAFT_CACHE", str(tmp_path / "cache"))
    shared, kept, encoded = [], [], []
    prefix, keep = text._encode_prefix, ReadableImages.keep
    monkeypatch.setattr(text, "_encode_prefix", lambda clip, x, *a: shared.append(x.shape[1]) or prefix(clip, x, *a))
    monkeypatch.setattr(
        ReadableImages, "keep", lambda self, budget, **how: kept.append(budget) or keep(self, budget, **how)
    )
    settings = [*TWO_EPOCHS, "DATASET.CACHE_DIR", str(tmp_path / "draws"), "TEST.CACHE_FEATURES", "True"]
    from craft.prompts.learner import PromptLearner

    encode = PromptLearner._encode_text
    monkeypatch.setattr(
        PromptLearner, "_encode_text", lambda self, *a: encoded.append(self.training) or encode(self, *a)
    )
    if name == "kept_texts":  # with features kept there is one batch of texts all the same
        settings += ["TEST.CACHE_FEATURES", "False"]
    assert run(tmp_path / "run", "CoOpCraft", settings=settings) == 0
    entries = {path.name for path in (tmp_path / "cache").iterdir()}
    return {
        "prefix": any(shared),
        "kept_texts": encoded.count(False) == 1,
        "feature_cache": "images" in entries,
        "anchor_cache": "anchors" in entries,
        "split_cache": (tmp_path / "draws").exists(),
        "decoded_images": any(kept),
    }[name]


@pytest.mark.parametrize(
    "name", ["prefix", "kept_texts", "feature_cache", "anchor_cache", "split_cache", "decoded_images"]
)
def test_a_switch_does_something(name, tmp_path, monkeypatch, capsys, without):
    monkeypatch.delenv("CRAFT_WITHOUT", raising=False)
    assert seen(name, tmp_path / "with", monkeypatch, capsys)
    without(name)
    assert not seen(name, tmp_path / "none", monkeypatch, capsys)


def test_nothing_is_packed(monkeypatch, without):
    backbone, uniform = load_backbone("demo"), []
    pad = Packing.pad
    monkeypatch.setattr(Packing, "pad", lambda self, x: uniform.append(self.uniform) or pad(self, x))
    for switch in ("", "packing"):
        without(switch)
        backbone.encode_texts([f"a photo of {name}" for name in NAMES])
        blocks, uniform = uniform[-backbone.text_depth :], []
        assert set(blocks) == {bool(switch)}


def test_the_text_cache_is_left_alone(tmp_path, monkeypatch, without):
    monkeypatch.delenv("CRAFT_WITHOUT", raising=False)
    for switch, there in (("", True), ("text_cache", False)):
        monkeypatch.setenv("CRAFT_CACHE", str(tmp_path / f"cache{switch}"))
        without(switch)
        assert run(tmp_path / f"run{switch}", "ZeroshotCLIP") == 0
        assert (tmp_path / f"cache{switch}" / "texts").exists() == there


def test_workers_stay_unless_switched_off(without):
    class Images(torch.utils.data.Dataset):
        def __len__(self):
            return 4

    loader = torch.utils.data.DataLoader(Images(), 2, num_workers=1)
    without("")
    assert loading.steady(loader).persistent_workers
    without("persistent_workers")
    assert not loading.steady(loader).persistent_workers
