"""Print README's table of prompt structures, computed from the code.

python -m craft.trainers.describe
"""

from __future__ import annotations

import sys

from craft.clip import load_backbone
from craft.common.errors import entry_point
from craft.objective import CraftTerms
from craft.trainers.structures import STRUCTURES

BACKBONE = "ViT-B/16"


def table() -> str:
    """A Markdown table: structure, paper, what is learned, parameters at ViT-B/16 under the base-to-new settings, and
    which of Craft's terms have a gradient."""
    from craft.config.commandline import parser
    from craft.trainers.settings import setup_cfg

    backbone = load_backbone(f"random:{BACKBONE}")  # counts need shapes, not weights
    rows = [
        f"| trainer | paper | what is learned | parameters ({BACKBONE}, base2new) | Craft's terms |",
        "| --- | --- | --- | ---: | --- |",
    ]
    for host in STRUCTURES.values():
        count, terms = 0, "none"
        if host.trainable:
            cfg = setup_cfg(parser("").parse_args(["--trainer", host.name, "--config-file", "base2new"]))
            # The texts of frozen targets do not change the counts; one class is enough.
            learner = host.load()(backbone, ["cat"], cfg.TRAINER[host.node], "a photo of a {}.")
            count = sum(parameter.numel() for parameter in learner.parameters())
            craft = CraftTerms(cfg.TRAINER.CRAFT, learner, compares=True)
            terms = ", ".join(name for name, weight in craft.weights.items() if weight)
        number = host.paper.removeprefix("arXiv ")
        paper = f"[{number}](https://arxiv.org/abs/{number})"
        rows.append(f"| `{host.name}` | {paper} | {host.summary} | {count:,} | {terms} |")
    return "\n".join(rows)


@entry_point
def main() -> int:
    print(table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
