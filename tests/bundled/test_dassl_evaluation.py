"""The numbers of the Classification evaluator, and top-k accuracy."""

import pytest
import torch
from dassl.config import get_cfg_default
from dassl.evaluation import build_evaluator
from dassl.metrics import compute_accuracy, compute_distance_matrix
from sklearn.metrics import confusion_matrix, f1_score

NAMES = {0: "cat", 1: "dog", 2: "owl", 3: "bat"}


def evaluate(cfg, labels, predictions, classes=4, batch=3):
    evaluator = build_evaluator(cfg, lab2cname=NAMES)
    evaluator.reset()
    logits = torch.nn.functional.one_hot(torch.tensor(predictions), classes).float()
    for start in range(0, len(labels), batch):
        evaluator.process(logits[start : start + batch], torch.tensor(labels[start : start + batch]))
    return evaluator.evaluate()


def test_numbers_by_hand(capsys):
    """Labels 0 0 0 1 1 2, predictions 0 0 1 1 2 0: classes right 2 of 3, 1 of 2, 0 of 1.
    F1: class 0 = 2*2/(3+3), class 1 = 2*1/(2+2), class 2 = 0; class 3 does not occur."""
    cfg = get_cfg_default()
    cfg.TEST.PER_CLASS_RESULT = True
    results = evaluate(cfg, [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 0])
    assert next(iter(results)) == "accuracy"
    assert results["accuracy"] == pytest.approx(50.0)
    assert results["error_rate"] == pytest.approx(50.0)
    assert results["macro_f1"] == pytest.approx(100 * (2 / 3 + 1 / 2 + 0) / 3)
    assert results["perclass_accuracy"] == pytest.approx(100 * (2 / 3 + 1 / 2 + 0) / 3)
    lines = capsys.readouterr().out.splitlines()
    assert {"=> result", "* total: 6", "* correct: 3", "* accuracy: 50.0%", "* error: 50.0%"} <= set(lines)
    assert "* class: 1 (dog)\ttotal: 2\tcorrect: 1\tacc: 50.0%" in lines


def test_macro_f1_equals_sklearn(tmp_path):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (200,), generator=generator).tolist()
    predictions = torch.randint(0, 4, (200,), generator=generator).tolist()  # class 3 is predicted, never true
    cfg = get_cfg_default()
    cfg.TEST.COMPUTE_CMAT, cfg.OUTPUT_DIR = True, str(tmp_path)
    results = evaluate(cfg, labels, predictions, batch=64)
    expected = f1_score(labels, predictions, average="macro", labels=[0, 1, 2])
    assert results["macro_f1"] == pytest.approx(100 * expected)
    # upstream saves a NumPy array, ours a tensor
    saved = torch.load(tmp_path / "cmat.pt", weights_only=False)
    assert torch.as_tensor(saved).numpy() == pytest.approx(confusion_matrix(labels, predictions, normalize="true"))


def test_reset_forgets():
    cfg = get_cfg_default()
    evaluator = build_evaluator(cfg, lab2cname=NAMES)
    for right in (0, 4):
        evaluator.reset()
        labels = torch.tensor([0, 0, 0, 0])
        logits = torch.eye(4)[torch.tensor([0] * right + [1] * (4 - right))]
        evaluator.process(logits, labels)
        assert evaluator.evaluate()["accuracy"] == 25.0 * right


def test_unknown_evaluator_gets_the_nearest_name():
    cfg = get_cfg_default()
    cfg.TEST.EVALUATOR = "Clasification"
    with pytest.raises(KeyError, match="Classification"):
        build_evaluator(cfg)


def test_top_k_accuracy():
    logits = torch.tensor([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0], [2.0, 3.0, 1.0], [3.0, 1.0, 2.0]])
    top1, top2 = compute_accuracy(logits, torch.tensor([0, 1, 2, 0]), topk=(1, 2))
    assert (top1.item(), top2.item()) == (50.0, 75.0)
    assert compute_accuracy((logits, None), torch.tensor([0, 2, 1, 0]))[0].item() == 100.0


def test_distances_equal_their_definition():
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(5, 4, generator=generator), torch.randn(5, 4, generator=generator)
    squared = torch.stack([torch.stack([(a - b).square().sum() for b in y]) for a in x])
    cosine = torch.stack([torch.stack([1 - a @ b / a.norm() / b.norm() for b in y]) for a in x])
    torch.testing.assert_close(compute_distance_matrix(x, y), squared, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(compute_distance_matrix(x, y, "cosine"), cosine, rtol=1e-4, atol=1e-5)
