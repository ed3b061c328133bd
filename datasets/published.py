"""The published splits (CoOp's ``split_zhou_*.json``) by their digests: facts that tell whether a split is the one that
published numbers stand on, whoever made the file. `craft.datasets.digests` says how each digest is taken."""

from __future__ import annotations

from typing import NamedTuple

from craft.datasets import digests
from craft.datasets.splits import Split
from craft.runs.identity import names_digest


class Published(NamedTuple):
    """Digests of a published split. train, val: `digests.in_order`; test: `digests.members`; classnames: of the names
    in the order of their labels; train_members, val_members: `digests.members`, to know a file in another order."""

    train: str
    val: str
    test: str
    classnames: str
    train_members: str
    val_members: str

    @property
    def parts(self) -> dict[str, str]:
        """As `digests.of_parts` gives them."""
        return {"train": self.train, "val": self.val, "test": self.test}


# The files of Food101 and SUN397 were never at hand: nothing is known of theirs.
PUBLISHED = {
    "Caltech101": Published(
        "6d55865872101af7",
        "a3d23d67021ca367",
        "f52c4582fa59bd67",
        "db43676ac8fef56a",
        "67c781ad85f4096f",
        "9d998698e8ee7fc5",
    ),
    "OxfordPets": Published(
        "b69e3e04439f4a97",
        "ca4bbf088890dfc9",
        "4244345e317c890c",
        "6665fea2f4668703",
        "35476b761e342324",
        "4db04d67cb7e86b3",
    ),
    "StanfordCars": Published(
        "5f0e846ccb26c674",
        "a0a412a31c9fa9cb",
        "ed8687df35b3d56e",
        "51e3085df4e4eead",
        "a1ed0ef0b39be795",
        "fcd4fc32dec69eb2",
    ),
    "OxfordFlowers": Published(
        "e48d49159dd42162",
        "32604194b5cc6556",
        "7c76b4bfa03b1e85",
        "f4cdbf5601185194",
        "ea22743943c59bd1",
        "ea16a49ac9eb776f",
    ),
    "DescribableTextures": Published(
        "b98eacde142b896d",
        "87abc008ed802ca0",
        "e42d0431e04cf369",
        "830b9f149466303e",
        "9758a0e4c8193cee",
        "6dbb7bcbd558af20",
    ),
    "EuroSAT": Published(
        "1890f26bef3b99c4",
        "d4e3970a185d0a44",
        "0ca92c6de0d3c67d",
        "70547c2c466191ae",
        "d7c85268f16e08f8",
        "c64f3b8be0e150b3",
    ),
    "UCF101": Published(
        "b3cc6eddaa49fed2",
        "f462320e47edd096",
        "78951738abba0ffa",
        "18cf6cddf539b86f",
        "16d6864111c5ffc4",
        "e308c662d2a85ada",
    ),
}


class Standing(NamedTuple):
    """How a split stands to the published one of its data set: ``same`` is None where no digest of that is known;
    ``words`` says it in a phrase ("" then)."""

    same: bool | None
    words: str


def standing(name: str, split: Split, parts: dict[str, str] | None = None) -> Standing:
    """Whether ``split``, with these `digests.of_parts`, is the published split of the data set called ``name``."""
    known = PUBLISHED.get(name)
    if known is None:
        return Standing(None, "")
    found = parts or digests.of_parts(split)
    differing = [part for part in digests.PARTS if found[part] != known.parts[part]]
    names = names_digest(digests.class_names(split))
    if not differing:
        if names == known.classnames:
            return Standing(True, "the published split")
        return Standing(True, f"the published split, but with other class names (digest {names} instead of "
                        f"{known.classnames}): prompts and their accuracy are others")  # fmt: skip
    members = {"train": known.train_members, "val": known.val_members}
    other = [part for part in differing if digests.members(split.parts().get(part, ())) != members.get(part)]
    if not other:
        return Standing(False, f"the published split with {' and '.join(differing)} in another order: the same seed "
                        "draws other shots than published ones")  # fmt: skip
    return Standing(False, f"not the published split: other images in {', '.join(other)}")
