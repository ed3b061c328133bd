"""How a model does on groups of images (class and spurious attribute), where the average hides what goes wrong.

`GroupClassification` is Dassl's ``Classification`` with the metrics of the group-robustness literature. A trainer gets
it from `choose_evaluator` where the data set's images carry a group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from dassl.evaluation import EVALUATOR_REGISTRY, Classification
from torch import Tensor

from craft.common.errors import UserError, unknown

DEFAULT = "Classification"
METRICS = ("accuracy", "error_rate", "macro_f1")
GROUP_METRICS = ("accuracy_train_weighted", "accuracy_group_mean", "worst_group_accuracy", "gap")
SMALLER_IS_BETTER = ("error_rate", "gap")


@EVALUATOR_REGISTRY.register()
class GroupClassification(Classification):
    """Classification of single labels, group by group.

    With acc_g the accuracy on the n_g > 0 images of group g and m_g the group's images in the full training split
    (before shots are drawn), `evaluate` returns, in percent, besides ``Classification``'s results:

        accuracy                 Σ n_g acc_g / Σ n_g, over all images alike (of ``Classification``)
        accuracy_train_weighted  Σ m_g acc_g / Σ m_g, which the Waterbirds literature calls average
        accuracy_group_mean      mean acc_g
        worst_group_accuracy     min acc_g; with ``worst_group``, its name, and ``worst_group_n``, its n_g
        gap                      accuracy_train_weighted − worst_group_accuracy
        groups                   [{"group", "name", "n", "train", "accuracy"}, …], of all groups that have images

    group_names: by group, may be None. group_counts: m_g by group.
    """

    def __init__(self, cfg, lab2cname=None, group_names: Sequence[str] | None = None, group_counts=None, **kwargs):
        super().__init__(cfg, lab2cname=lab2cname, **kwargs)
        self.group_names, self.group_counts = group_names, group_counts or {}
        self._group_total: Counter[int] = Counter()
        self._group_hits: Counter[int] = Counter()

    def reset(self):
        super().reset()
        self._group_total, self._group_hits = Counter(), Counter()

    def process(self, mo: Tensor, gt: Tensor, groups: Tensor | None = None):
        """Take in logits ``mo`` (B, C), labels ``gt`` (B,) and the group of each image (B,), int64."""
        if groups is None:
            raise UserError(
                "the evaluator GroupClassification was told no groups: this trainer does not pass them on; "
                f"set TEST.EVALUATOR to {DEFAULT}"
            )
        super().process(mo, gt)
        hits = (mo.argmax(dim=1) == gt).cpu()
        groups = groups.cpu()
        self._group_total.update(groups.tolist())
        self._group_hits.update(groups[hits].tolist())

    def evaluate(self) -> dict:
        results = super().evaluate()
        table = [
            {
                "group": group,
                "name": self.group_names[group] if self.group_names else f"group {group}",
                "n": total,
                "train": self.group_counts.get(group, 0),
                "accuracy": 100.0 * self._group_hits[group] / total,
            }
            for group, total in sorted(self._group_total.items())
        ]
        worst = min(table, key=lambda row: row["accuracy"])
        weight = sum(row["train"] for row in table)
        average = sum(row["train"] * row["accuracy"] for row in table) / weight
        results["accuracy_train_weighted"] = average
        results["accuracy_group_mean"] = sum(row["accuracy"] for row in table) / len(table)
        results["worst_group_accuracy"] = worst["accuracy"]
        results["gap"] = average - worst["accuracy"]
        results["worst_group"], results["worst_group_n"] = worst["name"], worst["n"]
        results["groups"] = table
        self._print(results)
        return results

    @staticmethod
    def _print(results: dict) -> None:
        table = results["groups"]
        width = max(len(row["name"]) for row in table)
        print("=> groups")
        print(f"  {'group':<{width}}  {'all of train':>12}  {'n':>7}  accuracy")
        for row in table:
            print(f"  {row['name']:<{width}}  {row['train']:>12,}  {row['n']:>7,}  {row['accuracy']:>7.1f}%")
        for name in GROUP_METRICS:
            where = f" ({results['worst_group']}, n = {results['worst_group_n']:,})" if name.startswith("worst") else ""
            print(f"* {name}: {results[name]:.1f}%{where}")


def groups_of(items: Sequence) -> Tensor | None:
    """(N,) int64, the group of each image; None where they carry none."""
    groups = [getattr(item, "group", None) for item in items]
    return None if None in groups else torch.tensor(groups, dtype=torch.int64)


def has_groups(dataset, name: str) -> bool:
    """Whether the images of a data set carry a group: those of train, val and test, or none.

    Raises UserError where some do and some do not, and where no group of a part is in training.
    """
    parts = {"training": dataset.train_x, "validation": dataset.val, "test": dataset.test}
    parts = {part: items for part, items in parts.items() if items}
    without = {part: sum(getattr(item, "group", None) is None for item in items) for part, items in parts.items()}
    if all(without[part] == len(items) for part, items in parts.items()):
        return False
    for part, items in parts.items():
        if without[part]:
            grouped = [other for other in parts if without[other] < len(parts[other])]
            raise UserError(
                f"{name}: {without[part]} of {len(items)} {part} images have no group, but {' and '.join(grouped)} "
                "images have; give a group to every image of all splits, or to none"
            )
    known = set(_group_counts(dataset))
    for part, items in parts.items():
        if not known & {item.group for item in items}:
            raise UserError(
                f"{name}: no group of the {part} images occurs in training; name groups alike in all splits"
            )
    return True


def _group_counts(dataset) -> Counter[int]:
    """Images of each group in the full training split; in ``train_x`` where the reader did not keep count."""
    return getattr(dataset, "group_counts", None) or Counter(item.group for item in dataset.train_x)


def choose_evaluator(cfg, dataset, evaluator):
    """The evaluator of a run: ``evaluator``, which Dassl built as TEST.EVALUATOR says, or `GroupClassification`.

    Groups are evaluated wherever the images carry them, unless TEST.EVALUATOR names something else than Dassl's default
    ``Classification``, all of whose results `GroupClassification` gives too. Raises UserError for groups in only some
    of the images, and for a TEST.METRIC that this evaluator does not give.
    """
    node, name = cfg.TEST, cfg.DATASET.NAME
    if node.EVALUATOR in (DEFAULT, GroupClassification.__name__):
        if has_groups(dataset, name):
            names = getattr(dataset, "group_names", None)
            print(f"The images of {name} carry groups: evaluator {GroupClassification.__name__}")
            evaluator = GroupClassification(cfg, dataset.lab2cname, names, _group_counts(dataset))
        elif node.EVALUATOR != DEFAULT or node.METRIC in GROUP_METRICS:
            asked = f"TEST.METRIC {node.METRIC}" if node.EVALUATOR == DEFAULT else f"TEST.EVALUATOR {node.EVALUATOR}"
            raise UserError(
                f"{asked} needs images with groups, and {name} has none: use Waterbirds, CelebA, DigitsGroups, or an "
                "ImageFolder CSV with groups"
            )
        known = [*METRICS, *(["perclass_accuracy"] if node.PER_CLASS_RESULT else [])]
        known += GROUP_METRICS if isinstance(evaluator, GroupClassification) else []
        if node.METRIC not in known:
            raise unknown("metric of TEST.METRIC", node.METRIC, known)
    return evaluator


def check_selection(cfg, dataset) -> None:
    """UserError where TEST.FINAL_MODEL best_val has nothing to select by, said before training rather than after."""
    node = cfg.TEST
    if node.FINAL_MODEL != "best_val" or node.NO_TEST:
        return
    if node.METRIC in SMALLER_IS_BETTER:
        raise UserError(f"TEST.METRIC {node.METRIC} is better when smaller; TEST.FINAL_MODEL best_val needs another")
    if not dataset.val:
        raise UserError(
            f"TEST.FINAL_MODEL best_val needs validation images, and {cfg.DATASET.NAME} has none; use last_step"
        )
    if {item.impath for item in dataset.val} <= {item.impath for item in dataset.test}:
        raise UserError(
            f"TEST.FINAL_MODEL best_val would select on the test images: the validation images of {cfg.DATASET.NAME} "
            "are among them; use last_step, or set images apart for validation"
        )
