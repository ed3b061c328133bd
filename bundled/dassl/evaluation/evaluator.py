"""Accuracy, macro F1, per-class results and the confusion matrix of a classifier."""

import os.path as osp
from collections import OrderedDict

import torch

from ..utils.files import atomic_path
from .build import EVALUATOR_REGISTRY


class EvaluatorBase:
    """``reset()``, then ``process(output, label)`` for each batch, then ``evaluate()`` -> dict of numbers."""

    def __init__(self, cfg):
        self.cfg = cfg

    def reset(self):
        raise NotImplementedError

    def process(self, mo, gt):
        raise NotImplementedError

    def evaluate(self):
        raise NotImplementedError


@EVALUATOR_REGISTRY.register()
class Classification(EvaluatorBase):
    """Classification of single labels.

    ``evaluate()`` returns percentages: ``accuracy`` (first, which is what ``trainer.test()`` returns),
    ``error_rate``, ``macro_f1``, and ``perclass_accuracy`` with TEST.PER_CLASS_RESULT.

    Macro F1 is the mean of F1_c = 2 TP_c / (predicted_c + true_c) over the classes that occur in the labels.
    """

    def __init__(self, cfg, lab2cname=None, **kwargs):
        super().__init__(cfg)
        if cfg.TEST.PER_CLASS_RESULT and lab2cname is None:
            raise ValueError("TEST.PER_CLASS_RESULT needs lab2cname")
        self._lab2cname = lab2cname
        self.reset()

    def reset(self):
        self._y_true = []
        self._y_pred = []

    def process(self, mo, gt):
        """Take in logits ``mo`` [B, C] and labels ``gt`` [B]."""
        self._y_true += gt.tolist()
        self._y_pred += mo.argmax(dim=1).tolist()

    def confusion(self):
        """Counts [C, C], int64: row the label, column the prediction."""
        true, pred = torch.tensor(self._y_true), torch.tensor(self._y_pred)
        classes = int(max(true.max(), pred.max())) + 1
        return torch.bincount(true * classes + pred, minlength=classes * classes).view(classes, classes)

    def evaluate(self):
        counts = self.confusion()
        hits, support = counts.diag(), counts.sum(dim=1)
        present = support > 0
        total, correct = int(support.sum()), int(hits.sum())
        f1 = 2.0 * hits.double() / (support + counts.sum(dim=0)).clamp(min=1)

        results = OrderedDict()
        results["accuracy"] = 100.0 * correct / total
        results["error_rate"] = 100.0 - results["accuracy"]
        results["macro_f1"] = 100.0 * f1[present].mean().item()
        print(
            "=> result\n"
            f"* total: {total:,}\n"
            f"* correct: {correct:,}\n"
            f"* accuracy: {results['accuracy']:.1f}%\n"
            f"* error: {results['error_rate']:.1f}%\n"
            f"* macro_f1: {results['macro_f1']:.1f}%"
        )
        if self.cfg.TEST.PER_CLASS_RESULT:
            results["perclass_accuracy"] = self._print_classes(hits, support)
        if self.cfg.TEST.COMPUTE_CMAT:
            self._save_confusion(counts, present)
        return results

    def _print_classes(self, hits, support):
        """Print one line a class and return the mean of the class accuracies."""
        print("=> per-class result")
        accuracies = []
        for label in support.nonzero().flatten().tolist():
            total, correct = int(support[label]), int(hits[label])
            accuracies.append(100.0 * correct / total)
            print(
                f"* class: {label} ({self._lab2cname[label]})\t"
                f"total: {total:,}\tcorrect: {correct:,}\tacc: {accuracies[-1]:.1f}%"
            )
        average = sum(accuracies) / len(accuracies)
        print(f"* average: {average:.1f}%")
        return average

    def _save_confusion(self, counts, present):
        """Save the matrix with rows summing to 1, of the classes that occur as label or prediction."""
        occurs = present | (counts.sum(dim=0) > 0)
        counts = counts[occurs][:, occurs].double()
        path = osp.join(self.cfg.OUTPUT_DIR, "cmat.pt")
        with atomic_path(path) as temporary:
            torch.save(counts / counts.sum(dim=1, keepdim=True).clamp(min=1), temporary)
        print(f"Confusion matrix is saved to {path}")
