"""The encoders against CLIP's own modules: unprompted, prompted, cut texts, shared tokens, and their gradients."""

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from craft.clip import TokenTable, VisionPrompts, load_backbone
from craft.clip.openai import OpenAIBackbone, tokenize
from craft.clip.original import CLIP, openai
from craft.common.errors import UserError
from craft.prompts.context import prompt_rows

TEXTS = ["a photo of a golden retriever.", "forest", "a photo of the digit seven.", "x" * 40, "747-400 texture."]


@pytest.fixture(scope="module")
def vit():
    return load_backbone("demo")


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(0)
    model = CLIP(64, 32, (1, 1, 1, 1), 8, None, 77, 49408, 64, 1, 2)
    return OpenAIBackbone(model, "resnet", "random")


def plain_text(clip, embeddings, ends, deep=()):
    """CLIP's own blocks over (C, 77, d) embeddings with the published way of overwriting positions 1…n."""
    x = (embeddings + clip.positional_embedding).permute(1, 0, 2)
    for number, block in enumerate(clip.transformer.resblocks):
        if 1 <= number <= len(deep):
            replacement = deep[number - 1][:, None].expand(-1, x.shape[1], -1)
            x = torch.cat([x[:1], replacement, x[1 + len(replacement) :]])
        x = block(x)
    x = clip.ln_final(x.permute(1, 0, 2))
    return x[torch.arange(len(ends)), torch.tensor(ends)] @ clip.text_projection


def padded(clip, rows, context):
    """(C, 77, d) embeddings of rows of token ids and slots, zeros behind, and the end-of-text positions."""
    width = clip.transformer.width
    out, ends = [], []
    for row in rows:
        vectors = [clip.token_embedding.weight[e] if e >= 0 else context[-1 - e] for e in row]
        # What stands behind the end must not matter: noise, not zeros.
        noise = torch.randn(clip.context_length - len(row), width)
        out.append(torch.cat([torch.stack(vectors), noise]))
        ends.append(len(row) - 1)
    return torch.stack(out), ends


@pytest.mark.parametrize("name", ["vit", "resnet"])
def test_without_prompts_equals_clip(name, request):
    clip = request.getfixturevalue(name)
    images = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(clip.encode_image(images), clip.module.encode_image(images), atol=1e-5, rtol=0)
    expected = clip.module.encode_text(openai.tokenize(TEXTS))
    torch.testing.assert_close(clip.encode_texts(TEXTS), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(clip.encode_texts(TEXTS, batch=2), expected, atol=1e-5, rtol=0)


def test_one_text_alone(vit):
    """With a single text everything but the end-of-text token is shared."""
    expected = vit.module.encode_text(openai.tokenize(TEXTS[:1]))
    torch.testing.assert_close(vit.encode_texts(TEXTS[:1]), expected, atol=1e-5, rtol=0)


words = st.text(alphabet="abcdefghij 0-'", min_size=1, max_size=18).filter(str.strip)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(words, min_size=1, max_size=5),
    n_ctx=st.integers(1, 5),
    position=st.sampled_from(["end", "middle", "front"]),
    specific=st.booleans(),
    depth=st.integers(0, 2),
    seed=st.integers(0, 99),
)
def test_prompted_text_equals_plain_path(vit, names, n_ctx, position, specific, depth, seed):
    """Features and gradients of any structure of prompt, shared, packed and cut, equal those at 77 tokens."""
    torch.manual_seed(seed)
    rows = prompt_rows(vit, names, " ".join(["X"] * n_ctx), n_ctx, position, specific)
    width = vit.text_width
    context = torch.randn(n_ctx * (len(names) if specific else 1), width, requires_grad=True)
    deep = [torch.randn(n_ctx, width, requires_grad=True) for _ in range(depth)]
    weights = torch.randn(len(names), vit.embed_dim)
    learned = [context, *deep]
    plain = plain_text(vit.module, *padded(vit.module, rows, context), deep)
    ours = vit.encode_text(TokenTable(vit, rows).prompts(context, deep))
    torch.testing.assert_close(ours, plain, atol=2e-5, rtol=1e-4)
    for got, expected in zip(
        torch.autograd.grad((ours * weights).sum(), learned, allow_unused=True),
        torch.autograd.grad((plain * weights).sum(), learned, allow_unused=True),
    ):
        torch.testing.assert_close(got, expected, atol=2e-4, rtol=1e-3)


def test_context_per_image(vit):
    """(B, n, d) contexts give what each image's context gives alone."""
    rows = prompt_rows(vit, ["one", "twenty two", "three"], "X X X", 3)
    context = torch.randn(4, 3, vit.text_width)
    table = TokenTable(vit, rows)
    together = vit.encode_text(table.prompts(context))
    alone = torch.stack([vit.encode_text(table.prompts(one)) for one in context])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.sampled_from(TEXTS), min_size=1, max_size=6),
    which=st.lists(st.integers(0, 5), min_size=1, max_size=5),
    depth=st.integers(0, 2),
)
def test_picked_texts_are_those_of_all(vit, texts, which, depth):
    """Some texts of a table, in any order and more than once: features and gradients as if all had been encoded."""
    table = TokenTable(vit, tokenize(texts))
    deep = [torch.randn(2, vit.text_width, requires_grad=True) for _ in range(depth)]
    for _ in range(2):  # what is kept for their number must not remember the texts
        which = [(number + 1) % len(texts) for number in which]
        expected = vit.encode_text(table.prompts(deep=deep))[which]
        found = vit.encode_text(table.pick(torch.tensor(which), deep))
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        weights = torch.randn_like(found)
        if deep:
            for ours, theirs in zip(*(torch.autograd.grad((x * weights).sum(), deep) for x in (found, expected))):
                torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_vision_prompts_equal_plain_path(vit, depth):
    """Appended before the first norm, replaced before their blocks, class token read: CLIP's own blocks agree."""
    tower = vit.module.visual
    width = tower.conv1.out_channels
    shallow = torch.randn(3, width)
    deep = [torch.randn(3, width) for _ in range(depth)]
    images = torch.randn(2, 3, 32, 32)
    x = tower.conv1(images).flatten(2).transpose(1, 2)
    x = torch.cat([tower.class_embedding.expand(2, 1, -1), x], dim=1) + tower.positional_embedding
    x = tower.ln_pre(torch.cat([x, shallow.expand(2, -1, -1)], dim=1)).transpose(0, 1)
    for number, block in enumerate(tower.transformer.resblocks):
        if 1 <= number <= depth:
            x[-3:] = deep[number - 1][:, None]
        x = block(x)
    expected = tower.ln_post(x[0]) @ tower.proj
    torch.testing.assert_close(vit.encode_image(images, VisionPrompts(shallow, deep)), expected, atol=2e-5, rtol=1e-4)


def test_what_cannot_be_encoded_says_so(vit, resnet):
    with pytest.raises(UserError, match="longer than CLIP's 77 tokens: 'word word"):
        tokenize(["word " * 90])
    with pytest.raises(UserError, match="vision prompts need a vision transformer"):
        resnet.encode_image(torch.randn(1, 3, 32, 32), VisionPrompts(torch.randn(2, 64)))
    rows = prompt_rows(vit, ["a", "b"], "X", 1)
    deep = [torch.randn(1, vit.text_width)] * 3
    with pytest.raises(UserError, match="do not fit a text tower of 3 layers"):
        vit.encode_text(TokenTable(vit, rows).prompts(torch.randn(1, deep[0].shape[1]), deep))


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 9])
def test_chunks_of_texts_change_nothing(vit, chunk):
    """Texts computed a few at a time, and again on the way back: the same features and gradients."""
    names = ["one", "twenty two", "three", "a very much longer name", "five"]
    table = TokenTable(vit, prompt_rows(vit, names, "X X", 2, "front"))
    width = vit.text_width
    context, deep = torch.randn(2, width, requires_grad=True), torch.randn(2, width, requires_grad=True)
    whole = vit.encode_text(table.prompts(context, [deep]))
    parts = vit.encode_text(table.prompts(context, [deep]), chunk=chunk)
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-5)
    weights = torch.randn_like(whole)
    for got, expected in zip(
        torch.autograd.grad((parts * weights).sum(), [context, deep]),
        torch.autograd.grad((whole * weights).sum(), [context, deep]),
    ):
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


def test_placed_backbones_give_the_same_features(vit, resnet):
    """A ResNet's weights are put channel-last; its features, fingerprint and state stay what they were."""
    for clip in (vit, resnet):
        images = torch.randn(3, 3, 32, 32)
        expected = clip.module.encode_image(images)
        placed = copy.deepcopy(clip).to("cpu")
        torch.testing.assert_close(placed.encode_image(images), expected, atol=1e-5, rtol=0)
        placed._fingerprint = None
        assert placed.fingerprint == clip.fingerprint
        state = placed.module.state_dict()
        assert all(torch.equal(value, state[key]) for key, value in clip.module.state_dict().items())
    assert placed.module.visual.conv1.weight.is_contiguous(memory_format=torch.channels_last)
