"""The base of every reader. A reader says in ``read`` which images with which labels make up train, val and test;
everything after that happens here, once: expected counts and labels are checked, shots are drawn and cached, base or
new classes are taken and renumbered. Nothing here needs Dassl: ``dassl_datasets.py`` makes its data sets of readers."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from craft.common.errors import UserError
from craft.datasets import caches, few_shot, generated, listing
from craft.datasets.base_new import take_classes
from craft.datasets.sources import Counts, DataFile
from craft.datasets.splits import Item, Split


class PromptDataset:
    """Base of the readers; subclasses set the attributes, write ``read``, and are declared with `register_reader`.

    ``Reader(cfg).load()`` gives the split of a run. In Dassl a reader is a ``DatasetBase`` too (`dassl_class`), so that
    trainers find what follows on ``dm.dataset``.

    dataset_dir     folder below DATASET.ROOT; on an instance, the absolute path of the folder
    dataset_dirs    alternatives where a set is found under several names; the first that exists is taken
    template        hand-written text template, one ``{}`` for the class name
    expected        Counts of the full set, or None where any size is right
    files           DataFile declarations: what should be on the disk and where it comes from
    test_only       True for sets that only evaluate: their train_x *is* the test list, so nobody may train on it

    domains         names of the domains that ``Item.domain`` counts; empty where there is one

    On an instance there are besides: ``cfg``; ``folder`` (Path of the data set's folder); ``recipe`` (a digest of what
    its images were generated from, None for others); ``rng`` (the stream for
    making a split and drawing shots: ``random.Random(cfg.SEED)``, so that a draw depends on nothing that ran before and
    changes nothing that runs after; Python's global stream where SEED is negative); ``group_names`` (list of str, or
    None where items carry no group); and after ``load`` ``group_counts`` (images of each group in training before shots
    were drawn, empty where items carry no group), ``subset`` (name of a count -> [found, expected] where they
    differ; None without ``expected``), and ``made_here`` (whether its split was drawn by a reader, now or in an earlier
    run, for want of the published one; None where no split file is looked for).
    """

    dataset_dir: str = ""
    dataset_dirs: tuple[str, ...] = ()
    template: str = "a photo of a {}."
    expected: Counts | None = None
    files: tuple[DataFile, ...] = ()
    test_only: bool = False
    domains: Sequence[str] = ()
    group_names: list[str] | None = None
    subset: dict[str, list[int | None]] | None = None
    made_here: bool | None = None

    def __init__(self, cfg):
        self.cfg = cfg
        self.name = type(self).__name__
        self.rng = random.Random(cfg.SEED) if cfg.SEED >= 0 else random
        self.folder = self.locate(cfg)
        self.dataset_dir = str(self.folder)
        self.caches = caches.CacheFolder(self.name, self.folder, cfg)
        self.recipe = generated.recipe_of(self.folder)

    def load(self) -> Split:
        """The split of this run: read, checked, shots drawn, base or new classes taken. UserError for every fault."""
        self.check_files()
        split = self.read()
        self.check_labels(split)
        self.check_counts(split)
        if not split.listed:
            self.check_images(split)
        split = self.settle(split)
        self.group_counts = Counter(item.group for item in split.train if item.group is not None)
        return self.finish(split)

    # -- for subclasses --------------------------------------------------------

    def read(self) -> Split:
        """The full data set. Raises UserError for whatever is wrong with the files."""
        raise NotImplementedError

    @classmethod
    def locate(cls, cfg) -> Path:
        """The data set's folder; UserError where ROOT or the folder is missing."""
        if not cfg.DATASET.ROOT:
            raise UserError(f"{cls.__name__}: no data root given; set --root or DATASET.ROOT")
        root = Path(os.path.abspath(os.path.expanduser(cfg.DATASET.ROOT)))
        if not root.is_dir():
            raise UserError(f"{cls.__name__}: the data root {root} is not a folder; check --root")
        names = cls.dataset_dirs or (cls.dataset_dir,)
        for name in names:
            if (root / name).is_dir():
                return root / name
        wanted = " or ".join(str(root / name) for name in names)
        sources = dict.fromkeys(file.origin for file in cls.files if file.role in ("required", "split"))
        hint = f"; it comes from {', '.join(sources)}" if sources else ""
        raise UserError(f"{cls.__name__}: no folder {wanted}{hint}")

    @classmethod
    def target_domains(cls, cfg) -> list[str]:
        """The domains that a run can be tested on, in their order; no image is looked at for it."""
        return list(cls.domains)

    @classmethod
    def files_in(cls, folder: Path) -> tuple[DataFile, ...]:
        """``files``, or what stands for them in ``folder`` where a set comes in several forms."""
        return cls.files

    def split_ready(self) -> bool:
        """Whether a ready-made split is there, so that annotation files are not needed."""
        return False

    def settle(self, split: Split) -> Split:
        """Called once the full split has passed every check, before shots are drawn."""
        return split

    def check_counts(self, split: Split) -> None:
        """Compare the sizes with ``expected``; UserError where they differ and DATASET.ALLOW_SUBSET is off."""
        if self.expected is None:
            return
        val = None if split.val is None or split.val is split.test else len(split.val)
        found = Counts(len({i.label for i in split.train}), len(split.train), val, len(split.test))
        counts = zip(Counts._fields, found, self.expected)
        self.subset = {name: [have, want] for name, have, want in counts if have != want}
        wrong = [
            f"{name} {'none' if have is None else have} instead of {want}" for name, (have, want) in self.subset.items()
        ]
        if not wrong:
            return
        if self.cfg.DATASET.ALLOW_SUBSET:
            print(f"{self.name}: a subset of the published set ({', '.join(wrong)})")
            return
        sources = dict.fromkeys(file.origin for file in self.files if file.role in ("required", "split"))
        raise UserError(
            f"{self.name}: the number of classes or images differs from the published set: {', '.join(wrong)} "
            f"(read from {split.origin}). `craft data check {self.name} --root {self.cfg.DATASET.ROOT}` says "
            f"what is missing; it comes from {', '.join(sources) or 'its authors'}. "
            "DATASET.ALLOW_SUBSET True accepts a subset"
        )

    # -- checks ----------------------------------------------------------------

    def check_files(self) -> None:
        """Name every file or folder that reading will need and that is not there."""
        roles = {"required"} if self.split_ready() else {"required", "annotations"}
        gone = [
            f"{file.path} (from {file.origin})"
            for file in self.files_in(self.folder)
            if file.role in roles and not listing.present(self.folder / file.path, file.kind)
        ]
        if gone:
            raise UserError(f"{self.name}: missing in {self.folder}: {'; '.join(gone)}")

    def check_labels(self, split: Split) -> None:
        """Labels of train must be 0..n-1, each with one name, and the other parts may know no other label.

        Class names may repeat (ImageNet has two pairs of namesakes): everything is keyed by label.
        """
        if not split.train:
            raise UserError(f"{self.name}: no training image in {split.origin}")
        if not split.test:
            raise UserError(f"{self.name}: no test image in {split.origin}")
        names: dict[int, Item] = {}
        for items in split.parts().values():
            for item in items:
                known = names.setdefault(item.label, item)
                if known.classname != item.classname:
                    raise UserError(
                        f"{self.name}: label {item.label} has two names in {split.origin}: {known.classname!r} "
                        f"({known.path}) and {item.classname!r} ({item.path}); correct one of them"
                    )
        trained = {item.label for item in split.train}
        for label in range(max(names) + 1):
            if label not in trained:
                other = f" ({names[label].classname!r}, e.g. {names[label].path})" if label in names else ""
                raise UserError(
                    f"{self.name}: label {label}{other} has no training image in {split.origin}; labels must run from "
                    f"0 to the number of classes less one"
                )

    def check_images(self, split: Split) -> None:
        """Every listed image must be on the disk; UserError with the first ones that are not."""
        every = [item.path for items in split.parts().values() for item in items]
        gone = listing.missing(self.folder, every)
        if gone:
            first = ", ".join(gone[:3]) + (", …" if len(gone) > 3 else "")
            raise UserError(
                f"{self.name}: {len(gone)} of {len(every)} images listed in {split.origin} are not in {self.folder}: "
                f"{first}; they come from {self.origin_of(gone[0])}"
            )

    def origin_of(self, path: str) -> str:
        """Where the file or folder that holds ``path`` comes from."""
        holders = [f for f in self.files if path == f.path or path.startswith(f.path.rstrip("/") + "/")]
        return max(holders, key=lambda f: len(f.path)).origin if holders else "its authors"

    # -- shots and classes -----------------------------------------------------

    def finish(self, split: Split) -> Split:
        """Draw the shots of train and val, then take base or new classes: the order that CoOp's readers keep."""
        shots = self.cfg.DATASET.NUM_SHOTS
        if shots >= 1 and not self.test_only:
            split = few_shot.drawn(self, split, shots)
        return take_classes(split, self.cfg.DATASET.SUBSAMPLE_CLASSES)
