"""A plan is checked before its first run: what could not run, and what its folders could not tell apart, is refused."""

import shutil

import pytest

from craft.common.errors import UserError
from craft.common.places import configs
from craft.config.elsewhere import called_here
from craft.lab.sweeps import command
from craft.lab.sweeps.catalogue import PROTOCOLS
from craft.lab.sweeps.plan import Sweep, plan


@pytest.mark.parametrize("protocol", ["few_shot", "base2new"])
@pytest.mark.parametrize("name", ["{}", "{}.yaml", "path"])
def test_a_setting_by_name_gives_the_runs_of_the_same_by_default(protocol, name):
    config = PROTOCOLS[protocol].config
    asked = str(configs() / f"trainers/CoOp/{config}.yaml") if name == "path" else name.format(config)
    chosen = {"trainers": ("CoOp",), "datasets": ("imagenet", "dtd")}
    default, by_name = (plan(PROTOCOLS[protocol], Sweep(**chosen, config=one)) for one in ("", asked))

    def same(run):
        words = list(run.arguments)
        words[words.index("--config-file") + 1] = config
        return run.folder, tuple(words)

    assert [same(run) for run in default] == [same(run) for run in by_name]
    assert any("OPTIM.MAX_EPOCH" in run.arguments for run in by_name)


def test_a_file_of_ones_own_has_no_published_schedule(tmp_path):
    shutil.copy(configs() / "trainers/vit_b16.yaml", tmp_path / "few_shot.yaml")
    runs = plan(PROTOCOLS["few_shot"], Sweep(trainers=("CoOp",), config=str(tmp_path / "few_shot.yaml"), shots=(1,)))
    assert not any("OPTIM.MAX_EPOCH" in run.arguments for run in runs)


@pytest.mark.parametrize("action", ["show", "run", "status"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["few_shot", "--config", "nosuch"], "'nosuch'"),
        (["few_shot", "--config", "few_shots"], "few_shot"),
        (
            ["few_shot", "--trainers", "CoOp", "--config", "vit_b16_ep50_ctxv1"],
            "base2new here, with OPTIM.MAX_EPOCH 50",
        ),
        (["few_shot", "--trainers", "CoOp", "--config", "rn50_ep100"], "--backbone RN50 and OPTIM.MAX_EPOCH 100"),
        (["base2new", "--trainers", "ZeroshotCLIPCraft"], "ZeroshotCLIP"),
        (["ablation", "--trainers", "ZeroshotCLIP"], "no trainer ZeroshotCLIPCraft"),
        (["few_shot", "--trainers", "MaPLe", "--config", "rn50"], "few_shot here, with --backbone RN50"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else "",
)
def test_what_could_not_run_is_refused_before_the_first_run(action, words, said, tmp_path, capsys):
    assert command.main([action, *words, "--output", str(tmp_path)]) == 1
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_data_set_nobody_reads_is_refused(tmp_path):
    (tmp_path / "mine.yaml").write_text("DATASET: {NAME: Caltech102}\n")
    with pytest.raises(UserError, match="Caltech101"):
        plan(PROTOCOLS["few_shot"], Sweep(trainers=("CoOp",), datasets=(str(tmp_path / "mine.yaml"),)))


def test_two_data_sets_of_one_folder_name_are_refused(tmp_path):
    for name in ("a/birds.yaml", "b/birds.yaml", "a/caltech101.yaml", "a/scenes.yaml", "a/scenes-art.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("DATASET: {NAME: ImageFolder}\n")

    def planned(*names):
        datasets = tuple(name if name.startswith("caltech") else str(tmp_path / name) for name in names)
        return plan(PROTOCOLS["few_shot"], Sweep(trainers=("CoOp",), datasets=datasets))

    assert planned("a/birds.yaml", "a/scenes.yaml:art", "caltech101")
    for names, said in (
        (("a/birds.yaml", "b/birds.yaml"), "folders called birds"),
        (("a/caltech101.yaml",), "rename your file"),
        (("a/scenes.yaml:art", "a/scenes-art.yaml"), "folders called scenes-art"),
    ):
        with pytest.raises(UserError, match=said):
            planned(*names)


def test_names_of_other_repositories_scripts():
    known = ["base2new", "base2new_4ctx", "cross_dataset", "few_shot", "language_only"]
    for name, here in (
        ("vit_b16_ep50", "few_shot"),
        ("vit_b16_ctxv1", "base2new"),
        ("vit_b16_c4_ep10_batch1_ctxv1", "base2new"),
        ("vit_b16_c2_ep5_batch4_2ctx", "base2new"),
        ("vit_b16_c2_ep5_batch4_2ctx_cross_datasets", "cross_dataset"),
        ("vit_b16_c2_ep20_batch4_4+4ctx", "base2new_4ctx"),
        ("vit_b16_c2_ep50_batch4_4+4ctx_few_shot", "few_shot"),
        ("vit_b16_c2_ep5_batch4_4ctx_language_only", "language_only"),
        ("vit_b16_c2_ep5_batch4_4", "base2new"),
    ):
        assert f" is {here} here" in called_here(name, known), name
    assert called_here("nosuch", known) == ""


def test_data_sets_are_taken_in_any_case_and_keep_one_folder():
    def folders(*names):
        return [run.folder for run in plan(PROTOCOLS["few_shot"], Sweep(trainers=("CoOp",), datasets=names))]

    assert folders("Caltech101", "OXFORD_PETS", "DescribableTextures") == folders("caltech101", "oxford_pets", "dtd")
    assert folders("PACS:photo") == folders("pacs:photo")
    with pytest.raises(UserError, match="did you mean: caltech101"):
        folders("Caltec101")
