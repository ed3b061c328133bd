""" "None of these": below which largest probability an answer is withheld, and how often that wrongs a known image.

A threshold is chosen on the run's validation images, which the prompts were not learned from. With n of them, their
largest probabilities sorted, and the k-th smallest as the threshold, the rate at which further images of these classes
fall below it is distributed as Beta(k, n + 1 - k), whatever the probabilities' distribution (order statistics; the
bound of split conformal prediction). It says nothing of how many images of other classes are caught.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from craft.common.errors import UserError

if TYPE_CHECKING:
    from craft.inference.learned import Learned

ENOUGH = 10  # images expected below the threshold, fewer of which are warned of


@dataclass(frozen=True)
class Threshold:
    """value: answers whose largest probability is below it are withheld. rate: of known images that was asked for.

    images: that it was chosen on (0: it was given as a number). low, high: 95 % of the true rate lies between.
    """

    value: float
    rate: float | None = None
    images: int = 0
    low: float | None = None
    high: float | None = None

    def warning(self) -> str:
        """What a user must know of a threshold that few images speak for; "" where there is nothing."""
        if self.rate is None or self.rate * self.images >= ENOUGH:
            return ""
        return (
            f"the threshold {self.value:.3f} was chosen on {self.images} validation images only: instead of "
            f"{100 * self.rate:g} % of known images it may withhold {100 * (self.low or 0):.1f} to "
            f"{100 * (self.high or 0):.1f} % (95 %)"
        )

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def choose(largest: np.ndarray, rate: float) -> Threshold:
    """The threshold below which ``rate`` of known images fall. largest: (n,) the largest probability of each
    validation image. UserError where n images cannot tell so small a rate from none."""
    from scipy.stats import beta

    if not 0 < rate < 1:
        raise UserError(f"--false-alarms is {rate:g}; it is a share of known images, above 0 and below 1")
    n = len(largest)
    k = int(np.floor(rate * (n + 1) + 1e-9))
    if k < 1:
        raise UserError(
            f"{n} validation images cannot tell a false-alarm rate of {rate:g}; the least is {1 / (n + 1):.3f}: "
            "ask for more, train with more validation images, or give a number with --reject-below"
        )
    low, high = beta.ppf([0.025, 0.975], k, n + 1 - k)
    return Threshold(float(np.sort(largest)[k - 1]), rate, n, float(low), float(high))


def from_run(model: Learned, rate: float) -> Threshold:
    """The threshold on the validation images of the run that ``model`` is of. UserError where it has none, where its
    images are not where they were, or where ``model`` has other classes than the run."""
    import torch
    from dassl.data.datasets import build_dataset

    from craft import datasets
    from craft.inference.learned import record_of_training
    from craft.inference.reading import Batches, find_images
    from craft.trainers.settings import cfg_of_record

    if not model.own_classes:
        raise UserError(
            "--false-alarms needs validation images of the classes, and there are none of other names: give a number "
            "with --reject-below"
        )
    cfg = cfg_of_record(record_of_training(model.folder)["config"])
    datasets.enter_into_dassl()
    val = build_dataset(cfg).val
    if not val:
        raise UserError(
            f"{model.folder} has no validation images to choose a threshold on: give one with --reject-below"
        )
    batches = Batches(find_images([item.impath for item in val]), model.transform, 64)
    largest = torch.cat([model.probabilities(images).max(dim=1).values for _, images in batches])
    if batches.bad:
        raise UserError(batches.bad[min(batches.bad)])
    return choose(largest.numpy(), rate)


def add_options(add) -> None:
    add("--reject-below", type=float, metavar="P", help='call it "none of these" where no class has probability P')
    add(
        "--false-alarms",
        type=float,
        metavar="RATE",
        help="choose P on the run's validation images, so that this share of images of its classes falls below it",
    )


def asked(options, model: Learned) -> Threshold | None:
    """What --reject-below or --false-alarms ask for, with its warning on stderr; None where neither is given."""
    if options.reject_below is not None and options.false_alarms is not None:
        raise UserError("--reject-below and --false-alarms both give the threshold; give one of them")
    if options.false_alarms is not None:
        found = from_run(model, options.false_alarms)
        if found.warning():
            print(f"warning: {found.warning()}", file=sys.stderr)
        return found
    if options.reject_below is None:
        return None
    if not 0 < options.reject_below < 1:
        raise UserError(f"--reject-below is {options.reject_below:g}; it is a probability, above 0 and below 1")
    return Threshold(options.reject_below)
