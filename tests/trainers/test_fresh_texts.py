"""Text features that evaluation keeps are never older than the parameters, however these were changed."""

import pytest
import torch
from torch import nn
from yacs.config import CfgNode

from craft.clip import load_backbone
from craft.trainers.structures import STRUCTURES

NAMES = ["zero", "one", "two"]


@pytest.fixture
def learner():
    structure = STRUCTURES["CoOp"]
    learner = structure.load()(load_backbone("demo"), NAMES, CfgNode(dict(structure.defaults)), "a photo of a {}.")
    return learner.eval()


def optimiser(learner):
    optimizer = torch.optim.SGD(learner.parameters(), 1.0)
    learner.ctx.grad = torch.ones_like(learner.ctx)
    optimizer.step()


def average_in_place(learner):
    with torch.no_grad():
        learner.ctx.mul_(0.5).add_(0.3)


def through_data(learner):
    learner.ctx.data.add_(0.3)


def loaded(learner):
    learner.load_state_dict({name: value + 0.3 for name, value in learner.state_dict().items()})


def assigned(learner):
    state = {name: value + 0.3 for name, value in learner.state_dict().items()}
    nn.Module.load_state_dict(learner, state, assign=True)


def replaced(learner):
    learner.ctx = nn.Parameter(learner.ctx.detach() + 0.3)


@pytest.mark.parametrize("change", [optimiser, average_in_place, through_data, loaded, assigned, replaced])
def test_kept_texts_follow_the_parameters(learner, change):
    with torch.no_grad():
        before = learner.encode_text()
    change(learner)
    with torch.no_grad():
        found = learner.encode_text()
        expected = learner.train().encode_text()  # training keeps nothing
    assert torch.equal(found, expected) and not torch.equal(found, before)


def test_unchanged_texts_are_computed_once(learner, monkeypatch):
    calls = []
    whole = type(learner)._encode_text
    monkeypatch.setattr(type(learner), "_encode_text", lambda self, prompts: calls.append(1) or whole(self, prompts))
    with torch.no_grad():
        assert torch.equal(learner.encode_text(), learner.encode_text())
    assert len(calls) == 1


def test_texts_that_were_kept_without_a_graph_are_not_given_to_who_needs_one(learner):
    with torch.no_grad():
        learner.encode_text()
    learner.encode_text().sum().backward()
    assert learner.ctx.grad is not None
