"""Every case in GOLDEN_DIR: what the published trainers compute must come out of ours, with shared and cut texts.

Cases are dispatched on ``trainer_config`` alone, so a folder with other cases (GOLDEN_DIR) is checked as it is.
"""

import importlib.util
import json
import os
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from yacs.config import CfgNode

from craft.clip import load_backbone
from craft.common.places import configs
from craft.config.layers import merge, read_yaml
from craft.objective import CraftTerms, Step
from craft.trainers import structures
from craft.trainers.settings import get_cfg

GOLDEN = Path(os.environ.get("GOLDEN_DIR", Path(__file__).parent / "golden"))
LOGITS, LOSSES, GRADIENTS = 2e-4, 2e-5, 1e-5  # the stated tolerances; gradients relative

spec = importlib.util.spec_from_file_location("golden_recipe", GOLDEN / "recipe.py")
recipe = importlib.util.module_from_spec(spec)
spec.loader.exec_module(recipe)
CASES = json.loads((GOLDEN / "cases.json").read_text())

# The release's names of loss terms, and ours.
RELEASE_TERMS = {"static_image_to_text": "cross_entropy", "static_text_to_image": "static"}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    path = tmp_path_factory.mktemp("golden") / "clip.safetensors"
    save_file({name: torch.tensor(value) for name, value in recipe.clip_state_dict().items()}, path)
    return load_backbone(str(path))


def our_name(published):
    """A published parameter's name in our learners."""
    name = published.removeprefix("prompt_learner.")
    name = re.sub(r"^image_encoder\.VPT$", "vision_ctx", name)
    for tower, ours in (("image", "vision"), ("text", "text")):
        pattern = rf"^{tower}_encoder\.transformer\.resblocks\.(\d+)\.VPT_shallow$"
        name = re.sub(pattern, lambda m, ours=ours: f"{ours}_deep.{int(m[1]) - 1}", name)
    return name


def build(case, backbone, monkeypatch):
    ((node, values),) = case["trainer_config"].items()
    host = next(host for host in structures.STRUCTURES.values() if host.node == node)
    settings = CfgNode(dict(host.defaults))
    merge(settings, values, case["case"])
    template = "a photo of a {}."
    if node == "KGCOOP":
        (template,) = case["teacher_templates"]
    elif "teacher_templates" in case:
        monkeypatch.setattr(host.load(), "teacher_templates", tuple(case["teacher_templates"]))
    learner = host.load()(backbone, case["classnames"], settings, template)
    ours = dict(learner.named_parameters())
    for name, shape in case["learnable"].items():
        parameter = ours.pop(our_name(name))
        assert list(parameter.shape) == list(shape), name
        parameter.data = torch.tensor(recipe.learnable(case["case"], name, tuple(shape)))
    assert not ours, f"parameters that the published trainer does not have: {list(ours)}"
    return learner


def release_terms(case, learner, ood):
    """Craft's terms under the release's yaml."""
    cfg = get_cfg()
    path = configs() / "trainers" / "MaPLe" / ("release_ood.yaml" if ood else "release.yaml")
    merge(cfg, read_yaml(path), str(path))
    classes = len(case["classnames"])
    anchors = torch.tensor(recipe.image_anchors(case["case"], classes))
    return CraftTerms(cfg.TRAINER.CRAFT, learner, anchors, torch.arange(classes), compares=ood)


def images_of(case, count):
    return torch.tensor(recipe.images(case, count))


@pytest.mark.parametrize("name", sorted(CASES))
def test_case(name, backbone, monkeypatch):
    case = CASES[name]
    learner = build(case, backbone, monkeypatch)
    labels = torch.tensor(case["labels"])
    images = images_of(case["case"], len(labels))
    first = case["losses_per_step"][0]
    craft = target = None
    if "batch_text" in case or "target_images" in case:
        craft = release_terms(case, learner, ood="target_images" in case)
    if "target_images" in case:
        quoted, count = re.fullmatch(r'images\("(.*)", (\d+)\)', case["target_images"]).groups()
        target = images_of(quoted, int(count))
    if "batch_text" in case:
        written = [learner.template.replace("{}", case["classnames"][label]) for label in case["labels"]]
        assert written == case["batch_text"]

    def logits():
        learner.eval()
        with torch.no_grad():
            return learner(images).logits

    torch.testing.assert_close(logits(), torch.tensor(case["eval_logits_before"]), atol=LOGITS, rtol=0)
    sgd = case["sgd"]
    optimizer = torch.optim.SGD(
        learner.parameters(), lr=sgd["lr"], momentum=sgd["momentum"], weight_decay=sgd["weight_decay"]
    )
    learner.train()
    for step, expected in enumerate(case["losses_per_step"]):
        out = learner(images)
        terms = learner.loss_terms(out, images, labels)
        if craft:
            terms |= craft(Step(out, labels, target=None if target is None else learner(target)))
        total = sum(terms.values())
        terms["total"] = total
        assert {RELEASE_TERMS.get(key, key) for key in first} <= set(terms)
        for key, value in expected.items():
            assert terms[RELEASE_TERMS.get(key, key)].item() == pytest.approx(value, abs=LOSSES), (step, key)
        optimizer.zero_grad()
        total.backward()
        if step == 0:
            for key, value in case["grad_norms_step1"].items():
                gradient = learner.get_parameter(our_name(key)).grad
                if value is None:
                    assert gradient is None or not gradient.any()
                else:
                    assert gradient.norm().item() == pytest.approx(value, rel=GRADIENTS), key
        optimizer.step()
    torch.testing.assert_close(logits(), torch.tensor(case["eval_logits_after"]), atol=LOGITS, rtol=0)


@pytest.mark.parametrize("name", sorted(CASES)[:: max(1, len(CASES) // 5)])
def test_case_without_optimisations(name, backbone, monkeypatch, without):
    without("all")
    test_case(name, backbone, monkeypatch)


def test_all_hosts_have_a_case():
    """The project's own copy covers every structure; another GOLDEN_DIR may hold any subset."""
    if "GOLDEN_DIR" not in os.environ:
        covered = {node for case in CASES.values() for node in case["trainer_config"]}
        assert covered == {host.node for host in structures.STRUCTURES.values() if host.trainable}
