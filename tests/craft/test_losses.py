"""Craft's losses against their formulas written out in plain loops over hand-made batches, and the terms of a run."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from yacs.config import CfgNode

from craft import losses as craft
from craft import terms as craft_terms
from craft.clip import load_backbone
from craft.common.errors import UserError
from craft.mmd import MULTIPLES
from craft.objective import CraftTerms, Step
from craft.prompts.learner import Features
from craft.trainers import structures
from tests.craft.test_mmd import by_loops, median_by_numpy
from tests.tiny_clip import SIZE, tiny_clip  # noqa: F401  (a fixture)

SCALE = torch.tensor(20.0)


def unit(rows, width=5, seed=0):
    """(rows, width) unit vectors, float64: what a loop in Python's numbers can be compared with to the last digits."""
    return F.normalize(torch.randn(rows, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)))


def dot(a, b):
    return sum(p * q for p, q in zip(a.tolist(), b.tolist()))


def cross_entropy(logits, targets):
    """Mean over rows of −Σ_j target_j log softmax_j."""
    losses = []
    for row, target in zip(logits, targets):
        highest = max(row)
        total = highest + math.log(sum(math.exp(value - highest) for value in row))
        losses.append(-sum(share * (value - total) for share, value in zip(target, row) if share))
    return sum(losses) / len(losses)


def static_by_loops(text, labels, anchors, anchor_labels, classes, scale):
    logits = [
        [
            math.log(
                sum(
                    math.exp(scale * dot(v, a)) for a, of_class in zip(anchors, anchor_labels.tolist()) if of_class == c
                )
            )
            for c in range(classes)
        ]
        for v in text
    ]
    return cross_entropy(logits, [[float(c == label) for c in range(classes)] for label in labels.tolist()])


def stochastic_by_loops(image, text, labels, scale, class_aware, symmetric):
    labels = labels.tolist()

    def target(i):
        positive = [labels[j] == labels[i] if class_aware else j == i for j in range(len(labels))]
        return [hit / sum(positive) for hit in positive]

    targets = [target(i) for i in range(len(labels))]
    there = cross_entropy([[scale * dot(u, v) for v in text] for u in image], targets)
    back = cross_entropy([[scale * dot(v, u) for u in image] for v in text], targets)
    return (there + back) / 2 if symmetric else there


# -- static anchors ---------------------------------------------------------------------------------------------------

ANCHORS = {
    "one each": [0, 1, 2],
    "one each, in another order": [2, 0, 1],
    "two each": [0, 0, 1, 1, 2, 2],
    "unequal and mixed": [2, 0, 0, 1, 2, 0, 0],
    "as many as classes, but not one each": [0, 0, 2],
}


@pytest.mark.parametrize("of_class", ANCHORS.values(), ids=ANCHORS)
def test_anchor_logits(of_class):
    text, anchors, of_class = unit(4, seed=1), unit(len(of_class), seed=2), torch.tensor(of_class)
    found = craft.anchor_logits(text, anchors, of_class, 3, SCALE)
    for i, v in enumerate(text):
        for c in range(3):
            own = [float(SCALE) * dot(v, a) for a, label in zip(anchors, of_class.tolist()) if label == c]
            expected = math.log(sum(map(math.exp, own))) if own else float("-inf")
            assert found[i, c].item() == pytest.approx(expected, rel=1e-12)


def test_anchor_logits_neither_overflow_nor_lose_the_smaller_class():
    """At tau = 100 a class 200 below the best one keeps its logit, and exp(100) is never formed."""
    text = torch.tensor([[1.0, 0.0]])
    anchors = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    found = craft.anchor_logits(text, anchors, torch.tensor([0, 0, 1, 1]), 2, torch.tensor(100.0))
    torch.testing.assert_close(found, torch.tensor([[100.0, -100.0]]) + math.log(2))


@pytest.mark.parametrize("of_class", [[0, 1, 2], [2, 0, 0, 1, 2, 0, 0]])
def test_static_loss(of_class):
    text, labels = unit(4, seed=1).requires_grad_(), torch.tensor([2, 0, 0, 1])
    anchors, of_class = unit(len(of_class), seed=2), torch.tensor(of_class)
    found = craft.static_loss(text, labels, anchors, of_class, 3, SCALE)
    expected = static_by_loops(text.detach(), labels, anchors, of_class, 3, 20.0)
    assert found.item() == pytest.approx(expected, rel=1e-12)
    torch.autograd.gradcheck(lambda v: craft.static_loss(v, labels, anchors, of_class, 3, SCALE), (text,))


def test_static_loss_goes_down_towards_the_own_anchor():
    anchors, labels = unit(3, seed=4), torch.tensor([0, 1, 2])
    right = craft.static_loss(anchors, labels, anchors, labels, 3, SCALE)
    wrong = craft.static_loss(anchors.roll(1, 0), labels, anchors, labels, 3, SCALE)
    assert right < 0.1 < wrong


# -- stochastic anchors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("class_aware", [True, False])
@pytest.mark.parametrize("labels", [[0, 1, 2, 3], [1, 0, 1, 1], [2, 2, 2, 2], [5]])
def test_stochastic_loss(labels, class_aware, symmetric):
    image, labels = unit(len(labels), seed=3), torch.tensor(labels)
    text = unit(6, seed=4)[labels]
    found = craft.stochastic_loss(image, text, labels, SCALE, class_aware, symmetric)
    expected = stochastic_by_loops(image, text, labels, 20.0, class_aware, symmetric)
    assert found.item() == pytest.approx(expected, rel=1e-12)
    image.requires_grad_(), text.requires_grad_()
    torch.autograd.gradcheck(
        lambda u, v: craft.stochastic_loss(u, v, labels, SCALE, class_aware, symmetric), (image, text)
    )


def test_when_targets_matter():
    """Where all samples of a class share one text, rows of a class have equal logits, and positives shared between
    them sum to what each alone gives: both targets are one loss. With texts of their own (CoCoOp) they differ."""
    image, labels = unit(4, seed=3), torch.tensor([0, 1, 0, 0])

    def both(text):
        return [craft.stochastic_loss(image, text, labels, SCALE, class_aware).item() for class_aware in (True, False)]

    shared = both(unit(2, seed=4)[labels])
    assert shared[0] == pytest.approx(shared[1], rel=1e-12)
    own = both(unit(4, seed=5))
    assert abs(own[0] - own[1]) > 0.1


# -- anchor space -----------------------------------------------------------------------------------------------------


def test_relative_features():
    image, text, anchors = unit(4, seed=1), unit(3, seed=2), unit(2, seed=3)
    per_image = unit(12, seed=4).view(4, 3, 5)
    for i, u in enumerate(image):
        to_text, to_anchors = [dot(u, t) for t in text], [dot(u, a) for a in anchors]
        assert craft.relative(image, text)[i].tolist() == pytest.approx(to_text)
        assert craft.relative(image, None, anchors)[i].tolist() == pytest.approx(to_anchors)
        assert craft.relative(image, text, anchors)[i].tolist() == pytest.approx(to_text + to_anchors)
        own = [dot(u, t) for t in per_image[i]]
        assert craft.relative(image, per_image, anchors)[i].tolist() == pytest.approx(own + to_anchors)


def test_mmd_loss_in_anchor_space():
    text = unit(3, seed=2)
    source, target = craft.relative(unit(5, seed=1), text), craft.relative(unit(3, seed=7), text)
    found = craft.mmd_loss(source, target)
    expected = by_loops(source, target, [(m * median_by_numpy(source, target)) ** 2 for m in MULTIPLES], False)
    assert found.item() == pytest.approx(expected, rel=1e-10)

    def scaled(rows):
        columns = list(zip(*rows.tolist()))
        low, high = [min(c) for c in columns], [max(c) for c in columns]
        return torch.tensor([[(v - a) / (b - a) for v, a, b in zip(row, low, high)] for row in rows.tolist()])

    found = craft.mmd_loss(source, target, (10.0, 50.0), unbiased=True, normalize="minmax")
    assert found.item() == pytest.approx(by_loops(scaled(source), scaled(target), (10.0, 50.0), True), rel=1e-5)


def test_min_max_of_a_constant_column_is_finite():
    rows = torch.tensor([[1.0, 2.0], [1.0, 4.0]], requires_grad=True)
    found = craft.min_max(rows)
    assert found.tolist() == [[0.0, 0.0], [0.0, 1.0]]
    found.sum().backward()
    assert torch.isfinite(rows.grad).all()


# -- precision and device ---------------------------------------------------------------------------------------------


def every_loss(image, text, labels, anchors, of_class, scale):
    relative = craft.relative(image, text, anchors)
    return [
        craft.static_loss(text, labels, anchors, of_class, 3, scale),
        craft.stochastic_loss(image, text, labels, scale),
        craft.mmd_loss(relative, craft.relative(image[:2], text, anchors)),
    ]


def test_autocast_changes_no_digit():
    values = unit(4, 32, 1).float(), unit(4, 32, 2).float(), torch.tensor([0, 1, 2, 0]), unit(3, 32, 3).float()
    plain = every_loss(*values, torch.arange(3), SCALE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = every_loss(*values, torch.arange(3), SCALE)
    assert [a.item() for a in plain] == [a.item() for a in cast]


def test_nothing_waits_for_the_device():
    """Tensors without values, seemingly on a GPU: reading one, or bringing in another device's, raises."""
    with FakeTensorMode():
        vectors = [torch.empty(rows, 8, device="cuda") for rows in (4, 4, 3)]
        labels, of_class = (torch.empty(rows, dtype=torch.int64, device="cuda") for rows in (4, 3))
        losses = every_loss(vectors[0], vectors[1], labels, vectors[2], of_class, torch.empty((), device="cuda"))
        assert all(loss.device.type == "cuda" and loss.shape == () for loss in losses)


# -- the terms of a run -----------------------------------------------------------------------------------------------

CLASSES = ["cat", "dog", "sea_lion"]


@pytest.fixture(scope="module")
def backbone(tiny_clip):  # noqa: F811
    return load_backbone(tiny_clip)


def learner_of(host, backbone):
    host = structures.STRUCTURES[host]
    node = CfgNode(dict(host.defaults))
    for key, value in {"N_CTX": 2, "PROMPT_DEPTH": 1, "PROMPT_DEPTH_VISION": 1, "PROMPT_DEPTH_TEXT": 1}.items():
        if key in node:
            node[key] = value
    torch.manual_seed(0)
    return host.load()(backbone, CLASSES, node, "a photo of a {}.")


def terms_of(learner, anchors=None, of_class=None, mmd=False, **settings):
    node = CfgNode({**craft_terms.defaults(), **settings})
    craft_terms.check(node)
    return CraftTerms(node, learner, anchors, of_class, mmd)


def pictures(count, seed=0):
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("host", ["CoOp", "CoCoOp", "MaPLe"])
def test_terms_of_a_learner(host, backbone):
    """All terms from the learner's features, v_i being the prompted text of sample i's class, for CoCoOp its own."""
    learner = learner_of(host, backbone).train()
    anchors, of_class = 3 * unit(5, 64, 1).float(), torch.tensor([0, 0, 1, 2, 2])
    settings = {"STATIC_WEIGHT": 0.5, "STOCHASTIC_WEIGHT": 2.0, "MMD_WEIGHT": 3.0, "MMD_ANCHORS": "both"}
    terms = terms_of(learner, anchors, of_class, mmd=True, **settings)
    labels = torch.tensor([1, 1, 0, 2])
    source, target = learner(torch.cat([pictures(4), pictures(3, 1) + 1])).split(4)
    assert (source.text.dim() == 3) == (host == "CoCoOp")
    found = terms(Step(source, labels, target=target))

    texts = source.text.detach() if host == "CoCoOp" else source.text.detach().expand(4, -1, -1)
    own = torch.stack([texts[i, label] for i, label in enumerate(labels.tolist())]).double()
    image, unit_anchors, scale = source.image.detach().double(), F.normalize(anchors).double(), source.scale.item()
    static = static_by_loops(own, labels, unit_anchors, of_class, 3, scale)
    assert found["static"].item() == pytest.approx(0.5 * static, rel=1e-4)
    stochastic = stochastic_by_loops(image, own, labels, scale, True, True)
    assert found["stochastic"].item() == pytest.approx(2.0 * stochastic, rel=1e-4)

    def relative(out):
        rows = []
        for i, u in enumerate(out.image.detach()):
            against = out.text[i] if out.text.dim() == 3 else out.text
            rows.append([dot(u, t) for t in against] + [dot(u, a) for a in unit_anchors])
        return torch.tensor(rows, dtype=torch.float64)

    r, r_target = relative(source), relative(target)
    expected = by_loops(r, r_target, [(m * median_by_numpy(r, r_target)) ** 2 for m in MULTIPLES], False)
    assert found["mmd"].item() == pytest.approx(3.0 * expected, rel=1e-3)
    for name, term in found.items():
        gradients = torch.autograd.grad(term, list(learner.parameters()), retain_graph=True, allow_unused=True)
        assert any(g is not None and g.any() for g in gradients), name


def test_weights_of_zero_leave_terms_out(backbone):
    learner = learner_of("CoOp", backbone)
    out, labels = learner(pictures(2)), torch.tensor([0, 1])
    assert terms_of(learner, STATIC_WEIGHT=0.0, STOCHASTIC_WEIGHT=0.0)(Step(out, labels)) == {}
    assert set(terms_of(learner, STATIC_WEIGHT=0.0)(Step(out, labels))) == {"stochastic"}


def test_terms_without_a_gradient_are_left_out(backbone):
    anchors, of_class = unit(3, 64).float(), torch.arange(3)
    vpt = terms_of(learner_of("VPT", backbone), anchors, of_class, mmd=True, MMD_ANCHORS="image")
    assert set(vpt.left_out) == {"static"} and vpt.weights["static"] == 0 and vpt.weights["mmd"] == 1
    coop = terms_of(learner_of("CoOp", backbone), anchors, of_class, mmd=True, MMD_ANCHORS="image")
    written = terms_of(learner_of("CoOp", backbone), anchors, of_class, BATCH_TEXT="template")
    assert set(written.left_out) == {"static", "stochastic"}  # frozen images against texts without learned context
    assert set(coop.left_out) == {"mmd"} and coop.weights["mmd"] == 0 and coop.weights["static"] == 1


def test_group_mmd_of_a_run(backbone):
    """Cells of class and attribute; only pairs that the batch has both of count."""
    learner = learner_of("MaPLe", backbone).train()
    weights = {"MMD_WEIGHT": 2.0, "STATIC_WEIGHT": 0.0, "STOCHASTIC_WEIGHT": 0.0}
    terms = terms_of(learner, mmd=True, MMD_VARIANCES=(0.01,), **weights)
    out = learner(pictures(6))
    groups = torch.tensor([0, 1, 1, 0, 2, 2])
    pairs = torch.tensor([[0, 1], [2, 3]])
    found = terms(Step(out, groups // 2, groups=groups, pairs=pairs))["mmd"]
    rows = torch.tensor([[dot(u, t) for t in out.text.detach()] for u in out.image.detach()])
    assert found.item() == pytest.approx(2 * by_loops(rows[[0, 3]], rows[[1, 2]], (0.01,), False), rel=1e-3)


def test_features_of_some_images():
    out = Features(torch.rand(3, 2), torch.rand(3, 4, 2), torch.rand(3, 4), SCALE)
    first, rest = out.split(1)
    assert (len(first.image), len(rest.image)) == (1, 2)
    assert torch.equal(rest.text, out.text[1:]) and torch.equal(rest.logits, out.logits[1:])
    assert torch.equal(out.text_of(torch.tensor([3, 0, 1]))[2], out.text[2, 1])


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"MMD_MULTIPLES": ()}, "bandwidths"),
        ({"GROUP_MMD": True, "MMD_NORMALIZE": "minmax"}, "must be none"),
    ],
)
def test_settings_that_mean_nothing(settings, message):
    with pytest.raises(UserError, match=message) as error:
        craft_terms.check(CfgNode({**craft_terms.defaults(), **settings}))
    assert all(key in str(error.value) for key in settings if key != "GROUP_MMD")
