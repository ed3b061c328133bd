"""What data sets with a spurious attribute share: groups g = n_attributes * class + attribute, their published sizes,
and a line that says which groups a few-shot draw reached (a few shots per class can miss a group entirely)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from craft.common.errors import UserError
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.splits import Item, Split


class GroupDataset(PromptDataset):
    """Base of readers whose items carry ``attribute`` and ``group``; subclasses set besides PromptDataset's:

    group_names         one name for each group
    expected_groups     images of each group in train, val and test of the full set
    """

    group_names: list[str]
    expected_groups: Mapping[str, tuple[int, ...]] = {}

    def check_counts(self, split: Split) -> None:
        """Every group of every part must have its published size, unless DATASET.ALLOW_SUBSET."""
        wrong = []
        for part, items in split.parts().items():
            sizes = Counter(item.group for item in items)
            found = tuple(sizes[group] for group in range(len(self.group_names)))
            if part in self.expected_groups and found != self.expected_groups[part]:
                wrong.append(f"{part} has {listed(found)} instead of {listed(self.expected_groups[part])}")
        if not wrong:
            return
        message = f"{self.name}: images a group ({' / '.join(self.group_names)}): {'; '.join(wrong)}"
        if not self.cfg.DATASET.ALLOW_SUBSET:
            raise UserError(
                f"{message} (read from {split.origin}). `craft data check {self.name} --root "
                f"{self.cfg.DATASET.ROOT}` says what is missing. DATASET.ALLOW_SUBSET True accepts a subset"
            )
        print(f"{message}; accepted as a subset")

    def finish(self, split: Split) -> Split:
        split = super().finish(split)
        say_groups_drawn(self, split)
        return split


def say_groups_drawn(dataset: PromptDataset, split: Split) -> None:
    """Print the groups of a few-shot draw, and where one was missed, how to draw from each."""
    if dataset.cfg.DATASET.NUM_SHOTS < 1:
        return
    names = dataset.group_names
    assert names is not None, f"{dataset.name} has no groups"
    print(f"{dataset.name}: groups drawn for training: {describe(split.train, names)}")
    missed = [name for group, name in enumerate(names) if all(item.group != group for item in split.train)]
    if missed and dataset.cfg.DATASET.SHOTS_PER == "class":
        print(f"{dataset.name}: no shot of {' / '.join(missed)}; DATASET.SHOTS_PER group draws from every group")


def describe(items: Iterable[Item], names: list[str]) -> str:
    """``"landbird on land: 14 / landbird on water: 2 / …"``."""
    sizes = Counter(item.group for item in items)
    return " / ".join(f"{name}: {sizes[group]}" for group, name in enumerate(names))


def listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
