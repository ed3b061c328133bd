"""Figures: the channel importance ratio by hand, who is compared with whom, and every kind drawn from real runs."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from craft.lab import palette
from craft.lab.bench import summary
from craft.lab.results import command as cli
from craft.lab.results.collect import collect
from craft.lab.results.figures import OF_MODELS, OF_NUMBERS, draw_all, features, models, style
from tests.conftest import PROJECT
from tests.runs import run

SETTINGS = ["DATASET.NUM_SHOTS", "1", "OPTIM.MAX_EPOCH", "2", "DATALOADER.NUM_WORKERS", "0"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """An OOD sweep, base-to-new and two shots, as small as they get."""
    base = tmp_path_factory.mktemp("sweep")

    def one(phase, data, trainer, shots=1, seed=1, *options, overrides=()):
        folder = base / f"{phase}/{data}/shots_{shots}/{trainer}/demo/seed{seed}"
        words = ["--dataset-config-file", data, "--seed", str(seed), *options]
        assert run(folder, trainer, *words, settings=SETTINGS, overrides=["DATASET.NUM_SHOTS", shots, *overrides]) == 0
        return folder

    for trainer in ("MaPLe", "MaPLeCraftOOD"):
        one("ood", "digits_shift", trainer)
    for variant, trainer in (("host", "CoOp"), ("all", "CoOpCraftOOD")):
        one(f"ablation/{variant}", "digits_shift", trainer)
    for trainer in ("CoOp", "CoOpCraft"):
        half = ["DATASET.SUBSAMPLE_CLASSES", "base"]
        model = one("base2new/train_base", "digits", trainer, overrides=half)
        other = ["--eval-only", "--model-dir", str(model)]
        one("base2new/test_new", "digits", trainer, 1, 1, *other, overrides=["DATASET.SUBSAMPLE_CLASSES", "new"])
        one("few_shot", "digits", trainer)
        one("few_shot", "digits", trainer, 2)
    return base


def test_channel_importance_ratio_by_hand():
    source = torch.tensor([[1.0, -1.0], [-3.0, 3.0]])  # magnitudes 2, 2: a half each
    target = torch.tensor([[1.0, 3.0]])  # a quarter and three quarters
    found = features.channel_importance_ratio(source, target)
    assert torch.allclose(found, torch.tensor([-1.0, np.log2(1.5)], dtype=found.dtype))
    # The same channels, twice as strong everywhere, are used alike.
    assert torch.allclose(features.channel_importance_ratio(source, 2 * source), torch.zeros(2), atol=1e-6)


def test_few_channels_are_points_and_many_a_histogram():
    from matplotlib.figure import Figure

    few = {"CoOp": np.array([-0.4, 0.1, 0.3]), "CoOpCraft": np.array([-0.2, 0.0, 0.1])}
    panel = Figure().subplots()
    features.draw_ratios(panel, few)
    assert [dots.get_offsets()[:, 0].tolist() for dots in panel.collections] == [v.tolist() for v in few.values()]
    assert [label.get_text() for label in panel.get_yticklabels()] == list(few)
    panel = Figure().subplots()
    features.draw_ratios(panel, {name: np.linspace(-1, 1, 500) for name in few})
    assert not panel.collections and panel.get_ylabel() == "channels"


def test_no_legend_and_no_title_is_cut_off(tmp_path):
    """A sheet that is narrow for what it says: the file grows, and nothing touches its edge."""
    names = [f"a class with a rather long name {i}" for i in range(10)]
    with style.sheet(tmp_path, "narrow", 1, 1, 3.0, 2.4, []) as (figure, axes):
        for name in names:
            axes[0, 0].plot([0, 1], [0, 1], label=name)
        style.legend(figure, *axes[0, 0].get_legend_handles_labels())
        style.title(figure, "a title that is much longer than three inches of paper allow, so it takes several lines")
        figure.canvas.draw()
        boxes = [artist.get_window_extent() for artist in (figure.legends[0], figure._suptitle)]
        assert all(box.x0 >= 0 and box.x1 <= 300 for box in boxes)
    pixels = np.asarray(Image.open(tmp_path / "narrow.png").convert("L"))
    assert min(pixels[0].min(), pixels[-1].min(), pixels[:, 0].min(), pixels[:, -1].min()) > 200


def test_all_figures_take_their_colours_from_one_place(tmp_path):
    assert style.COLOURS is palette.COLOURS
    summary.figure(json.loads((PROJECT / "docs/benchmarks.json").read_text()), tmp_path / "bench.png")
    pixels = np.asarray(Image.open(tmp_path / "bench.png").convert("RGB")).reshape(-1, 3)
    drawn = {tuple(pixel) for pixel in pixels}
    assert tuple(int(palette.COLOURS[0][i : i + 2], 16) for i in (1, 3, 5)) in drawn
    assert (0x1F, 0x77, 0xB4) not in drawn  # matplotlib's own first


def test_host_and_craft_are_paired(runs):
    pairs = {host.phase: (host, crafts) for host, crafts in features.pairs_of(collect(runs))}
    assert {phase: [craft.trainer for craft in crafts] for phase, (_, crafts) in pairs.items()} == {
        "ood": ["MaPLeCraftOOD"],
        "ablation/host": ["CoOpCraftOOD"],
        "base2new/train_base": ["CoOpCraft"],
        "few_shot": ["CoOpCraft"],
    }
    assert pairs["few_shot"][0].shots == 2  # the most


def test_a_loaded_run_sees_what_it_saw(runs):
    host = next(r for r in collect(runs) if r.phase == "ood" and r.trainer == "MaPLe")
    trainer = models.load(host)
    seen = models.look(trainer, trainer.dm.dataset.test)
    accuracy = 100 * (seen.probability.argmax(1) == seen.labels).double().mean().item()
    assert accuracy == pytest.approx(host.metrics["accuracy"], abs=1e-6)
    assert torch.allclose(seen.image.norm(dim=1), torch.ones(len(seen.image)), atol=1e-5)


def test_every_kind_is_drawn(runs, tmp_path, monkeypatch):
    from craft.trainers.engine.prompt_trainer import PromptTrainer

    monkeypatch.setattr(features, "SAMPLES", 100)
    monkeypatch.setattr(PromptTrainer, "run_epoch", lambda self: pytest.fail("a figure trained a model"))
    found = collect(runs)
    paths = draw_all(found, tmp_path, only=OF_NUMBERS) + draw_all(found, tmp_path, "ood", only=OF_MODELS)
    names = {path.name for path in paths}
    assert {
        "base2new_gains.png",
        "few_shot_digits.png",
        "ablation_coop_on_digitsshift_1_shot.png",
        "losses_ood_digitsshift_maple_1_shot.png",
        "tsne_ood_digitsshift_1_shot_seed_1_maple.png",
        "channels_ood_digitsshift_1_shot_seed_1_maple.png",
        "predictions_ood_digitsshift_1_shot_seed_1_maplecraftood_and_maple.pdf",
    } <= names
    # Channels only where there is a target domain.
    assert not draw_all(found, tmp_path, "few_shot", only=("channels",))
    for path in paths:
        if path.suffix == ".png":
            pixels = np.asarray(Image.open(path).convert("L"))
            assert pixels.shape[0] > 200 and pixels.std() > 5
        else:
            assert path.read_bytes().startswith(b"%PDF")
    # The same runs give the same bytes.
    again = tmp_path / "again"
    assert draw_all(found, again, "ood", only=("channels",))
    for path in again.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()


def test_gone_checkpoints_cost_their_figure_only(runs, tmp_path, capsys):
    moved = runs / "ood/digits_shift/shots_1/MaPLe/demo/seed1/prompt_learner"
    moved.rename(tmp_path / "elsewhere")
    try:
        assert cli.main(["figures", str(runs), "--to", str(tmp_path / "to"), "--only", "predictions"]) == 0
    finally:
        (tmp_path / "elsewhere").rename(moved)
    said = capsys.readouterr()
    assert "not drawn: predictions of" in said.err and "no such checkpoint" in said.err
    assert "predictions_few_shot" in said.out and "predictions_ood" not in said.out
