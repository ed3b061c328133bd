"""``DigitsShift``: digits rendered in computer fonts (source) and written by hand (target).

The rendered ones are sharp pictures in random colours, slightly turned and stretched, in the fonts that matplotlib
ships; no font is in two of train, val and test. The handwritten ones are those of ``Digits``, in the same parts.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

from craft.common.files import digest_file
from craft.datasets.domains import choose_domains
from craft.datasets.generated import generated_folder
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.readers.digits import digits_parts, write_digits
from craft.datasets.registry import register_reader
from craft.datasets.splits import Item, Split
from craft.demo.digits import NAMES, SIZE, SPLIT_SEED, TEMPLATE

PER_CLASS = {"train": 48, "val": 16, "test": 24}
RENDERED, HANDWRITTEN = "rendered", "handwritten"


def write_rendered(folder: Path) -> None:
    """Write ``PART/NAME/INDEX.png`` for every part; a picture depends on its part, class and index alone."""
    import numpy as np

    from craft.demo import glyphs

    fonts = glyphs.fonts()
    # Every sixth font validates and another sixth tests: neighbours in the list are styles of one family.
    of_part: dict[str, Sequence[glyphs.Font]] = {"val": fonts[2::6], "test": fonts[5::6]}
    of_part["train"] = [font for font in fonts if font not in (*of_part["val"], *of_part["test"])]
    for part, count in PER_CLASS.items():
        for label, name in enumerate(NAMES):
            (folder / part / name).mkdir(parents=True)
            for index in range(count):
                rng = np.random.default_rng(zlib.crc32(f"{SPLIT_SEED}:{part}:{label}:{index}".encode()))
                font = of_part[part][index % len(of_part[part])]
                picture = glyphs.render(str(label), font, rng, size=SIZE, blur=0.0)
                picture.save(folder / part / name / f"{index:04d}.png")


def shift_folder(root: str = "") -> Path:
    """Where the images of both domains are; they are written first if need be."""
    from craft.demo import glyphs

    recipe = {
        "name": "DigitsShift",
        "version": 1,
        "size": SIZE,
        "split_seed": SPLIT_SEED,
        "per_class": PER_CLASS,
        "renderer": digest_file(glyphs.__file__),
    }

    def write(folder: Path) -> None:
        write_rendered(folder / RENDERED)
        write_digits(folder / HANDWRITTEN)

    return generated_folder("digits_shift", root, recipe, write)


@register_reader
class DigitsShift(PromptDataset):
    """Two domains of the ten digits: rendered (480 train, 160 val, 240 test) and handwritten (719, 359, 719).

    By default the source is rendered and the target handwritten: train and val are rendered, the unlabelled images
    are the handwritten training digits, and test the handwritten test digits. SOURCE_DOMAINS and TARGET_DOMAINS may
    turn that round.
    """

    template = TEMPLATE
    generated = True
    domains = [RENDERED, HANDWRITTEN]

    @classmethod
    def locate(cls, cfg) -> Path:
        return shift_folder(cfg.DATASET.ROOT)

    def read(self) -> Split:
        cfg = self.cfg
        if not cfg.DATASET.SOURCE_DOMAINS and not cfg.DATASET.TARGET_DOMAINS:
            cfg = cfg.clone()
            cfg.defrost()
            cfg.DATASET.SOURCE_DOMAINS, cfg.DATASET.TARGET_DOMAINS = (RENDERED,), (HANDWRITTEN,)
        parts: dict[str, list[Item]] = {"train": [], "val": [], "test": []}
        for domain, name in enumerate(self.domains):
            for part, items in digits_parts(self.folder / name).items():
                parts[part] += [item._replace(path=f"{name}/{item.path}", domain=domain) for item in items]
        both = Split(parts["train"], parts["val"], parts["test"], listed=True, origin="the generated digits")
        return choose_domains(self.name, both, self.domains, cfg, self.rng)
