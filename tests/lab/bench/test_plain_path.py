"""Whole trainers against the plain path, over whatever class names, lengths, depths and contexts there may be.

The plain path (`craft.lab.bench.plain`) runs CLIP's own modules on 77 tokens for every class and every image, as the
published trainers do; losses, gradients and logits of ours must be the same within float32 rounding.
"""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from yacs.config import CfgNode

from craft.clip import load_backbone
from craft.clip.openai import tokenize
from craft.clip.tokens import common_prefix, prefix_groups
from craft.lab.bench import plain
from craft.objective import CraftTerms, Step
from craft.terms import defaults
from craft.trainers.structures import STRUCTURES

WORDS = ["cat", "boeing 747-400", "St. Bernard", "crème brûlée", "東京", "a photo of a", "x" * 40, "0"]
names = st.one_of(
    st.sampled_from(WORDS),
    st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=25),
    st.lists(st.sampled_from(WORDS[:4]), min_size=1, max_size=8).map("_".join),
)


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("demo")


@st.composite
def nodes(draw, host):
    """A structure's settings: number of context tokens and words to start from, and depths."""
    node = dict(host.defaults)
    for key in node:
        if key.startswith("PROMPT_DEPTH"):
            node[key] = draw(st.integers(1, 3))
    words = draw(st.sampled_from(["", "a photo of a", "one"]))
    tokens = len(words.split()) or draw(st.integers(1, 6))
    for key in {"N_CTX", "N_CTX_TEXT", "N_CTX_VISION"} & set(node):
        node[key] = tokens
    if "N_CTX_VISION" in node:
        node["N_CTX_VISION"] = draw(st.integers(1, 5))
    return CfgNode(node | {"CTX_INIT": words})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(),
    name=st.sampled_from(["CoOp", "MaPLe", "PromptSRC"]),
    classes=st.lists(names, min_size=1, max_size=6),  # names may occur twice
    batch=st.integers(1, 4),
    chunk=st.sampled_from([0, 0, 1, 2]),
    seed=st.integers(0, 99),
)
def test_losses_gradients_and_logits_are_those_of_the_plain_path(backbone, data, name, classes, batch, chunk, seed):
    host = STRUCTURES[name]
    torch.manual_seed(seed)
    learner = host.load()(backbone, classes, data.draw(nodes(host)), "a photo of a {}.").float()
    learner.text_chunk = chunk
    with torch.no_grad():  # prompts as after some training: deep ones that are not nearly zero
        for parameter in learner.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    anchors = torch.randn(len(classes), backbone.embed_dim)
    craft = CraftTerms(CfgNode(defaults()), learner, anchors, torch.arange(len(classes)))
    path = plain.PlainPath(backbone.module, learner, craft)
    images, labels = torch.randn(batch, 3, 32, 32), torch.randint(len(classes), (batch,))
    learner.train()
    found = []
    for run in (lambda: learner.loss_terms(out := learner(images), images, labels) | craft(Step(out, labels)),
                lambda: path.terms(images, labels)):  # fmt: skip
        learner.zero_grad(set_to_none=True)
        terms = run()
        sum(terms.values()).backward()
        found.append((terms, {key: p.grad for key, p in learner.named_parameters()}))
    (ours, our_gradients), (expected, gradients) = found
    assert ours.keys() == expected.keys() and our_gradients.keys() == gradients.keys()
    for key, value in expected.items():
        torch.testing.assert_close(ours[key], value, atol=2e-5, rtol=2e-5, msg=lambda text, key=key: f"{key}: {text}")
    largest = max(gradient.abs().max() for gradient in gradients.values())
    for key, gradient in gradients.items():
        assert (our_gradients[key] - gradient).abs().max() <= 1e-4 * largest + 1e-5, key
    learner.eval()
    with torch.no_grad():
        torch.testing.assert_close(learner(images).logits, path.logits(images), atol=1e-4, rtol=0)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    classes=st.lists(names, min_size=1, max_size=12),
    forms=st.lists(st.sampled_from(["a photo of a {}.", "a photo of the {}.", "{} texture.", "{}"]), min_size=1),
    batch=st.sampled_from([1, 3, 256]),
)
def test_texts_encoded_in_groups_are_those_encoded_alone(backbone, classes, forms, batch):
    texts = [form.replace("{}", name) for name in classes for form in forms]
    expected = torch.cat([backbone.module.encode_text(plain.openai.tokenize([text])) for text in dict.fromkeys(texts)])
    place = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    torch.testing.assert_close(
        backbone.encode_texts(texts, batch), expected[[place[t] for t in texts]], atol=1e-5, rtol=0
    )


tokens = st.lists(st.integers(0, 3), max_size=6).map(lambda row: [7, *row, 9])


@given(st.lists(tokens, max_size=30), st.integers(1, 40))
def test_groups_hold_every_row_once_and_save_tokens(rows, copies):
    """Nothing costs more than one group of all would; and rows that go on alike end up together."""
    rows = [[7, *range(100, 160), 9]] * copies + [[7, *range(200, 260), 9]] * copies + rows
    groups = prefix_groups(rows)
    assert sorted(index for group in groups for index in group) == list(range(len(rows)))

    def cost(group):
        members = [rows[index] for index in group]
        shared = common_prefix(members)
        return shared + sum(len(row) - shared for row in members)

    assert sum(map(cost, groups)) <= cost(range(len(rows)))
    if copies > 1:
        assert sum(map(cost, groups)) <= 2 * (61 + copies) + sum(map(len, rows[2 * copies :]))


def test_no_rows_and_templates_of_prompt_src():
    """PromptSRC's 60 texts a class: what is shared is encoded once, less than two thirds of the tokens are left."""
    assert prefix_groups([]) == []
    from craft.trainers.promptsrc_templates import TEACHER_TEMPLATES

    rows = tokenize([form.replace("{}", name) for name in ("cat", "dog", "owl", "red fox") * 10 for form in TEACHER_TEMPLATES])  # noqa: E501  # fmt: skip
    groups = prefix_groups(rows)
    shared = [common_prefix([rows[index] for index in group]) for group in groups]
    left = sum(prefix + sum(len(rows[i]) - prefix for i in group) for prefix, group in zip(shared, groups))
    assert left < 2 / 3 * sum(map(len, rows))
