"""Shifted domains: the loss of every host with Craft and an unlabelled target, the data that feed it, and mistakes."""

import math
import re

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils._python_dispatch import TorchDispatchMode

from craft.mmd import MULTIPLES
from craft.objective import Step
from craft.trainers import structures
from tests.craft.test_mmd import by_loops, median_by_numpy
from tests.fixtures_data.trees import make_tree
from tests.tiny_clip import build, tiny_clip, train  # noqa: F401  (a fixture)

SHIFT = ("--dataset-config-file", "digits_shift")
FEW = ("DATASET.NUM_SHOTS", 2)
MMD_ONLY = ("TRAINER.CRAFT.STATIC_WEIGHT", 0.0, "TRAINER.CRAFT.STOCHASTIC_WEIGHT", 0.0)
HOSTS = [host.name for host in structures.STRUCTURES.values() if host.trainable]


def shallow(name):
    """Options that fit a structure to the two layers of the tiny CLIP."""
    host, depths = structures.STRUCTURES[name], []
    for key, value in host.defaults.items():
        if "DEPTH" in key and value > 2:
            depths += [f"TRAINER.{host.node}.{key}", 2]
    return tuple(depths)


@pytest.fixture
def backbone(tiny_clip):  # noqa: F811
    return "--backbone", tiny_clip


def batches_of(trainer, sizes=(6, 4)):
    """A labelled and an unlabelled batch of unequal sizes."""
    labelled, unlabelled = next(iter(trainer.train_loader_x)), next(iter(trainer.train_loader_u))
    cut = [{key: value[:size] for key, value in batch.items()} for batch, size in zip((labelled, unlabelled), sizes)]
    return cut


# -- the loss ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("name", HOSTS)
def test_without_alignment_it_is_the_host_plus_mmd(name, unbiased, backbone, tmp_path):
    """One step of HCraftOOD with alignment weights 0: the host's own terms on the same images, plus the MMD written
    out in loops; and the step itself is that of the sum's gradient."""
    options = (*FEW, *MMD_ONLY, *shallow(name), "TRAINER.CRAFT.MMD_UNBIASED", unbiased, "TRAINER.CRAFT.MMD_WEIGHT", 2.0)
    trainer = build(tmp_path / "ood", "--trainer", f"{name}CraftOOD", *backbone, *SHIFT, options=options)
    host = build(tmp_path / "host", "--trainer", name, *backbone, *SHIFT, options=(*FEW, *shallow(name)))
    host.model.load_state_dict(trainer.model.state_dict())
    trainer.set_model_mode("train")
    host.set_model_mode("train")
    labelled, unlabelled = batches_of(trainer)

    own = host.batch_terms(labelled)
    with torch.no_grad():
        out, target = host.model(labelled["img"]), host.model(unlabelled["img"])

    def relative(features):
        text = features.text if features.text.dim() == 3 else features.text.expand(len(features.image), -1, -1)
        return (features.image[:, None].double() * text.double()).sum(-1)

    r, r_target = relative(out), relative(target)
    variances = [(factor * median_by_numpy(r, r_target)) ** 2 for factor in MULTIPLES]
    expected = by_loops(r, r_target, variances, unbiased)

    before = {key: value.clone() for key, value in trainer.model.named_parameters()}
    terms = trainer.forward_backward(labelled, unlabelled)
    assert set(terms) == {"loss", "mmd", *own}
    for key, value in own.items():
        assert terms[key].item() == pytest.approx(value.item(), rel=1e-5, abs=1e-6), key
    assert terms["mmd"].item() == pytest.approx(2 * expected, rel=1e-3, abs=1e-5)
    assert terms["loss"].item() == pytest.approx(sum(v.item() for v in own.values()) + 2 * expected, rel=1e-4)

    # The step: plain gradient descent from the host's gradient and that of the MMD, found apart.
    images = torch.cat([labelled["img"], unlabelled["img"]])
    source, target = host.model(images).split(len(labelled["img"]))
    mmd = trainer.craft(Step(source, labelled["label"], target=target))["mmd"]
    (sum(own.values()) + mmd).backward()
    rate = trainer.get_current_lr()
    moved = 0.0
    for key, parameter in host.model.named_parameters():
        decay = trainer.cfg.OPTIM.WEIGHT_DECAY * before[key]
        step = rate * ((parameter.grad if parameter.grad is not None else 0) + decay)
        torch.testing.assert_close(trainer.model.get_parameter(key), before[key] - step, rtol=1e-4, atol=1e-6)
        moved += step.abs().sum().item()
    assert moved > 0


def test_mmd_pulls_domains_together(backbone, tmp_path):
    """Trained on the MMD's side, prompts of the image tower bring both domains nearer in anchor space."""

    def distance(trainer):
        trainer.set_model_mode("eval")
        with torch.no_grad():
            source, target = (trainer.model(torch.cat([b["img"] for b in loader])) for loader in loaders)
            labels = torch.cat([b["label"] for b in loaders[0]])
            return F.relu(trainer.craft(Step(source, labels, target=target))["mmd"]).item()

    options = (*FEW, *MMD_ONLY, "TRAINER.VPT.PROMPT_DEPTH_VISION", 2, "TRAINER.CRAFT.MMD_WEIGHT", 100.0)
    options += ("OPTIM.LR", 0.05, "TRAINER.CRAFT.MMD_VARIANCES", "(0.05,)")
    trainer = build(tmp_path, "--trainer", "VPTCraftOOD", *backbone, *SHIFT, options=options)
    loaders = list(trainer.train_loader_x), list(trainer.train_loader_u)[:3]
    before = distance(trainer)
    trainer.set_model_mode("train")
    for step in range(30):
        trainer.forward_backward(loaders[0][step % len(loaders[0])], loaders[1][step % 3])
    assert distance(trainer) < 0.8 * before


def test_labels_of_the_target_are_never_read(backbone, tmp_path):
    trainer = build(tmp_path, "--trainer", "CoOpCraftOOD", *backbone, *SHIFT, options=FEW)
    trainer.set_model_mode("train")
    labelled, unlabelled = batches_of(trainer)
    terms = trainer.forward_backward(labelled, {"img": unlabelled["img"]})
    assert set(terms) == {"loss", "cross_entropy", "static", "stochastic", "mmd"}


class _NoReads(TorchDispatchMode):
    """Raises where a tensor's value decides what happens next, for which a GPU would have to be waited for."""

    FORBIDDEN = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "lift_fresh")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func)
        picks = [index for index in args[1] if index is not None] if name.startswith("aten.index.Tensor") else []
        if any(word in name for word in self.FORBIDDEN) or any(index.dtype == torch.bool for index in picks):
            raise AssertionError(f"{name} within a step")
        return func(*args, **(kwargs or {}))


@pytest.mark.optimisation("prefix")  # without it lengths of texts are read
@pytest.mark.parametrize("name", HOSTS)
def test_a_step_reads_no_value(name, backbone, tmp_path):
    """Forward, losses and backward of a step with every term; optimisers have their own ways."""
    options = (*FEW, *shallow(name), "TRAINER.CRAFT.MMD_ANCHORS", "both", "TRAINER.CRAFT.ANCHORS_PER_CLASS", 2)
    trainer = build(tmp_path, "--trainer", f"{name}CraftOOD", *backbone, *SHIFT, options=options)
    trainer.set_model_mode("train")
    batches = batches_of(trainer)
    trainer.batch_terms(*batches)  # what is computed once and kept, such as frozen targets
    with _NoReads():
        sum(trainer.batch_terms(*batches).values()).backward()
        with pytest.raises(AssertionError, match="_local_scalar_dense"):
            batches[0]["img"].sum().item()


@pytest.mark.optimisation("prefix")  # without it lengths of texts are read
def test_a_step_with_groups_reads_no_value(backbone, tmp_path):
    options = ("DATASET.NUM_SHOTS", 3, "DATASET.SHOTS_PER", "group", "TRAINER.CRAFT.GROUP_MMD", True)
    trainer = build(tmp_path, "--trainer", "CoOpCraft", *backbone, "--dataset-config-file", "digits_groups",
                    options=options)  # fmt: skip
    trainer.set_model_mode("train")
    batch = next(iter(trainer.train_loader_x))
    with _NoReads():
        terms = trainer.batch_terms(batch)
        sum(terms.values()).backward()
    assert terms["mmd"] > 0


# -- runs -------------------------------------------------------------------------------------------------------------


def test_run_on_the_embedded_shift(backbone, tmp_path):
    run = train(tmp_path, "--trainer", "CoOpCraftOOD", *backbone, *SHIFT, options=FEW)
    assert run.status == 0, run.err
    assert {"cross_entropy", "static", "stochastic", "mmd"} <= set(run.metrics["history"][0])
    assert f"* accuracy: {run.test['accuracy']:.1f}%" in run.out and "* total: 719" in run.out


@pytest.mark.parametrize(
    "options",
    [
        ("DATALOADER.TRAIN_U.SAME_AS_X", False, "DATALOADER.TRAIN_U.BATCH_SIZE", 3),
        ("TRAINER.CRAFT.MMD_ANCHORS", "image", "TRAINER.CRAFT.MMD_UNBIASED", True),
        ("TRAINER.CRAFT.MMD_ANCHORS", "both", "TRAINER.CRAFT.ANCHORS_PER_CLASS", 2),
        ("TRAINER.CRAFT.MMD_NORMALIZE", "minmax", "TRAINER.CRAFT.MMD_VARIANCES", "(10.0, 15.0, 20.0, 50.0)"),
        ("DATALOADER.TRAIN_X.BATCH_SIZE", 1),
        ("DATASET.UNLABELED", "release"),
    ],
)
def test_settings(options, backbone, tmp_path):
    common = ("--trainer", "MaPLeCraftOOD", *backbone, *SHIFT)
    run = train(tmp_path, *common, options=("DATASET.NUM_SHOTS", 1, *shallow("MaPLe"), *options))
    assert run.status == 0, run.err
    assert all(math.isfinite(epoch["mmd"]) for epoch in run.metrics["history"])
    how = "transductive" if "release" in options else "disjoint from the test images"
    assert len(re.findall(r"unlabelled target images, .*" + how, run.out)) == 1


@pytest.mark.parametrize("count, batches", [("train_x", 2), ("train_u", 89), ("smaller_one", 2)])
def test_length_of_an_epoch(count, batches, backbone, tmp_path):
    """20 labelled and 719 unlabelled images in batches of 8."""
    options = (*FEW, "TRAIN.COUNT_ITER", count, "OPTIM.MAX_EPOCH", 1, "TEST.NO_TEST", True)
    run = train(tmp_path, "--trainer", "CoOpCraftOOD", *backbone, *SHIFT, options=options)
    assert run.status == 0, run.err
    assert len(re.findall(r"^epoch \[1/1\]", run.out, re.M)) == batches


def test_unlabelled_images_are_not_tested_on(backbone, tmp_path):
    data = build(tmp_path, "--trainer", "CoOpCraftOOD", *backbone, *SHIFT, options=FEW).dm.dataset
    of = {part: {item.impath for item in getattr(data, part)} for part in ("train_x", "train_u", "val", "test")}
    assert not of["train_u"] & of["test"] and not of["train_x"] & of["train_u"]
    assert all("handwritten" in path for path in of["train_u"] | of["test"])
    assert all("rendered" in path for path in of["train_x"] | of["val"])


@pytest.fixture(scope="module")
def imagenets(tmp_path_factory):
    names = ("ImageNet", "ImageNetV2", "ImageNetSketch", "ImageNetA", "ImageNetR")
    return str(make_tree(tmp_path_factory.mktemp("data"), *names))


@pytest.mark.parametrize("target, classes", [("v2", 11), ("sketch", 11), ("a", 9), ("r", 8)])
def test_imagenet_to_its_variants(target, classes, imagenets, backbone, tmp_path):
    common = ("--trainer", "CoOpCraftOOD", *backbone, "--root", imagenets, "--dataset-config-file", "imagenet_ood")
    options = ("DATASET.NUM_SHOTS", 1, "DATASET.ALLOW_SUBSET", True, "OPTIM.MAX_EPOCH", 1)
    run = train(tmp_path, *common, "--target-domains", target, options=options)
    assert run.status == 0, run.err
    assert run.metrics["classes"] == classes and run.metrics["history"][0]["mmd"] >= 0
    assert f"target {target}, {classes} classes in common" in run.out


def pictures(folder, domains, count=6):
    """A tree domain/class/image."""
    for domain in domains:
        for shade, key in enumerate(("dark", "light")):
            (folder / domain / key).mkdir(parents=True)
            for index in range(count):
                colour = (100 * shade + 5 * index, 30, 30)
                Image.new("RGB", (16, 16), colour).save(folder / domain / key / f"{index}.png")
    return "--root", str(folder)


def test_own_images_with_domains(backbone, tmp_path):
    root = pictures(tmp_path / "data", ("photo", "sketch", "toy"))
    common = ("--trainer", "VPTCraftOOD", *backbone, "--dataset-config-file", "image_folder", *root)
    run = train(tmp_path / "run", *common, "--source-domains", "photo", "toy", "--target-domains", "sketch",
                options=("DATALOADER.TRAIN_X.BATCH_SIZE", 4, *shallow("VPT")))  # fmt: skip
    assert run.status == 0, run.err
    assert "source photo, toy; target sketch" in run.out and run.metrics["history"][0]["mmd"] >= 0


# -- mistakes ---------------------------------------------------------------------------------------------------------


def refused(run, *words):
    assert run.status == 1 and run.err.count("\n") == 1, run.err
    assert all(word in run.err for word in words), run.err


@pytest.mark.parametrize(
    "domains, words",
    [
        (("--source-domains", "rendered", "--target-domains", "rendered"), ("'rendered'", "both source and target")),
        (("--source-domains", "rendered", "handwritten"), ("TARGET_DOMAINS",)),
        (("--target-domains", "handwriten"), ("did you mean: handwritten",)),
    ],
)
def test_source_and_target_that_do_not_fit(domains, words, backbone, tmp_path):
    refused(train(tmp_path, "--trainer", "CoOpCraftOOD", *backbone, *SHIFT, *domains), *words)


def test_target_without_images(backbone, tmp_path):
    common = ("--trainer", "CoOpCraftOOD", *backbone, "--dataset-config-file")
    refused(train(tmp_path / "a", *common, "digits"), "CoOpCraftOOD needs unlabelled target images", "Digits")
    root = pictures(tmp_path / "data", ("photo", "sketch"))
    refused(train(tmp_path / "b", *common, "image_folder", *root), "TARGET_DOMAINS")
    (tmp_path / "data" / "empty").mkdir()
    run = train(tmp_path / "c", *common, "image_folder", *root, "--target-domains", "empty")
    refused(run, "empty holds no image")
    rows = ["path,class,domain,split"]
    for domain in ("photo", "sketch"):
        for key in ("dark", "light"):
            parts = ["train", "val", "test"] if domain == "photo" else ["test"]
            rows += [f"{domain}/{key}/{i}.png,{key},{domain},{part}" for i, part in enumerate(parts)]
    (tmp_path / "data" / "list.csv").write_text("\n".join(rows) + "\n")
    run = train(tmp_path / "d", *common, "image_folder", *root, "--target-domains", "sketch",
                options=("DATASET.PATH", "list.csv"))  # fmt: skip
    refused(run, "no training image in the domain sketch")


@pytest.mark.parametrize(
    "options, words",
    [
        (("TRAINER.CRAFT.MMD_UNBIASED", True, "DATALOADER.TRAIN_X.BATCH_SIZE", 1), ("MMD_UNBIASED", "BATCH_SIZE")),
        (("TRAINER.CRAFT.MMD_VARIANCES", "(0.0,)"), ("MMD_VARIANCES", "above 0")),
        (("TRAINER.CRAFT.GROUP_MMD", True), ("GROUP_MMD", "*Craft trainers")),
        (("DATASET.UNLABELED", "test"), ("DATASET.UNLABELED", "release")),
    ],
)
def test_settings_that_cannot_work(options, words, backbone, tmp_path):
    refused(train(tmp_path, "--trainer", "CoOpCraftOOD", *backbone, *SHIFT, options=(*FEW, *options)), *words)
