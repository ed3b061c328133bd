"""Figures of what trained models make of images: t-SNE, channel importance between domains, single predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from craft.common.errors import UserError
from craft.lab.results.collect import Result
from craft.lab.results.figures import models, style
from craft.lab.results.figures.numbers import slug
from craft.lab.results.grid import count_shots, order
from craft.lab.sweeps.catalogue import protocol_of
from craft.trainers.structures import host_name, structure_of

SAMPLES, CLASSES, SEED = 400, 10, 0
#: up to so many channels are drawn one by one: a histogram of ten shows its bins
FEW = 60


def pairs_of(results: list[Result]) -> list[tuple[Result, list[Result]]]:
    """(host's run, [Craft's runs]) that differ in Craft alone: same data set, shots and seed.

    One pair a data set and host, with the most shots and the smallest seed. From training runs only: they hold the
    learned prompts.
    """
    found: dict[tuple, dict[str, Result]] = {}
    for result in results:
        usable = result.state == "done" and result.record and result.record.get("mode") == "train"
        structure = structure_of(result.trainer)
        if not usable or structure is None or not structure.trainable:
            continue
        name, variant = result.phase, result.trainer
        protocol = protocol_of(result.phase)
        phase = protocol.phase(result.phase) if protocol else None
        if phase is not None and not phase.pictured:
            continue
        if protocol and protocol.table.rows == "phases":
            name, variant = protocol.name, result.phase
        key = (name, result.dataset, result.config, host_name(result.trainer))
        found.setdefault((key, -result.shots, result.seed), {})[variant] = result
    chosen: dict[tuple, tuple[Result, list[Result]]] = {}
    for (key, *_), runs in sorted(found.items()):
        hosts = [run for run in runs.values() if run.trainer == key[-1]]
        crafts = sorted((run for run in runs.values() if run.trainer != key[-1]), key=lambda run: order(run.trainer))
        if hosts and crafts and key not in chosen:
            chosen[key] = (hosts[0], crafts)
    return list(chosen.values())


def _title(host: Result) -> str:
    return f"{host.phase.partition('/')[0]}, {host.dataset}, {count_shots(host.shots)}, seed {host.seed}"


def _draw(items: list, labels: list[int], count: int) -> list:
    """``count`` of the items of the first CLASSES classes, the same ones whenever asked."""
    kept = [item for item, label in zip(items, labels) if label < CLASSES]
    chosen = np.random.default_rng(SEED).permutation(len(kept))[:count]
    return [kept[i] for i in sorted(chosen)]


def tsne(pairs: list[tuple[Result, list[Result]]], target: Path) -> list[Path]:
    """Test images in two dimensions: CLIP before, the host and Craft after; same images, same seed, one sheet.

    t-SNE (van der Maaten & Hinton 2008) of the image features where the host prompts the image tower, and of the
    anchor-relative features r(u) = (<u, t_1>, …, <u, t_C>) where it does not: text prompts leave u itself as it was.
    Every panel is an embedding of its own: distances compare within a panel, not between panels.
    """
    from sklearn.manifold import TSNE

    paths: list[Path] = []
    for host, crafts in pairs:
        trained = [models.load(run) for run in (host, *crafts)]
        vision = trained[0].model.learns_vision
        data = trained[0].dm.dataset
        items = _draw(data.test, [item.label for item in data.test], SAMPLES)
        panels = [("CLIP, before", models.zero_shot(host))]
        panels += [(run.trainer, trainer) for run, trainer in zip((host, *crafts), trained)]
        title = f"tsne: {_title(host)}, {host.trainer}"
        size = (2.9 * len(panels), 3.6)
        with style.sheet(target, slug(title), 1, len(panels), *size, paths) as (figure, axes):
            for panel, (name, trainer) in zip(axes[0], panels):
                seen = models.look(trainer, items)
                points = (seen.image if vision else seen.relative).numpy()
                perplexity = min(30, max(2, (len(points) - 1) // 3))
                flat = TSNE(perplexity=perplexity, init="pca", random_state=SEED).fit_transform(points)
                for label in range(min(CLASSES, trainer.num_classes)):
                    of = (seen.labels == label).numpy()
                    panel.scatter(
                        *flat[of].T,
                        s=9,
                        marker=style.marker(label),
                        color=style.colour(label),
                        # Eight colours for ten classes: the last two are drawn hollow.
                        facecolors="none" if label >= len(style.COLOURS) else style.colour(label),
                        linewidths=0.6,
                        label=trainer.lab2cname[label],
                    )
                right = (seen.probability.argmax(1) == seen.labels).float().mean().item()
                panel.set_title(f"{name}\n{100 * right:.1f} % of these {len(items)} right")
                panel.set_xticks([])
                panel.set_yticks([])
                panel.spines[:].set_visible(True)
            handles, labels = axes[0, 0].get_legend_handles_labels()
            style.legend(figure, handles, labels, markerscale=1.6)
            space = "image features" if vision else "anchor-relative features (the image tower is not prompted)"
            count, shown = trained[0].num_classes, min(CLASSES, trained[0].num_classes)
            which = f"all {count} classes" if shown == count else f"the first {shown} of {count} classes by label"
            style.title(figure, f"{_title(host)}: t-SNE of {space}; {len(items)} test images of {which}")
    return paths


def channel_importance(features: Tensor) -> Tensor:
    """(d,): mean magnitude of each channel of features (N, d), as a share of all: Σ_n |f_nc| / Σ_n Σ_c' |f_nc'|.

    Mean magnitude as a channel's importance follows Luo et al., Channel Importance Matters in Few-Shot Image
    Classification (ICML 2022).
    """
    magnitude = features.abs().mean(dim=0)
    return magnitude / magnitude.sum()


def channel_importance_ratio(source: Tensor, target: Tensor) -> Tensor:
    """(d,): log2 of target importance over source importance of each channel, features (N, d) and (M, d).

    0: both domains use the channel alike; ±1: one uses it twice as much. The closer the distribution is to 0, the
    less the model's features tell the domains apart channel by channel.
    """
    tiny = 1e-12  # a channel that is silent in both domains has ratio 1
    return ((channel_importance(target) + tiny) / (channel_importance(source) + tiny)).log2()


def channels(pairs: list[tuple[Result, list[Result]]], target: Path) -> list[Path]:
    """Distribution of `channel_importance_ratio` between source and target: host and Craft.

    Source: the validation images of the source domain. Target: test images. Only for runs with a target domain.
    """
    paths: list[Path] = []
    for host, crafts in pairs:
        if not (host.told.get("split") or {}).get("unlabelled"):
            continue
        runs = [(run.trainer, models.load(run)) for run in (host, *crafts)]
        data = runs[0][1].dm.dataset
        if not data.val:
            continue
        vision = runs[0][1].model.learns_vision
        ratios = {}
        for name, trainer in runs:
            source, shifted = models.look(trainer, data.val), models.look(trainer, data.test)
            pick = (lambda seen: seen.image) if vision else (lambda seen: seen.relative)
            ratios[name] = channel_importance_ratio(pick(source), pick(shifted)).numpy()
        space = "channels of the image features" if vision else "anchors (the image tower is not prompted)"
        title = f"channels: {_title(host)}, {host.trainer}"
        with style.sheet(target, slug(title), 1, 2, 7.4, 3.2, paths) as (figure, axes):
            draw_ratios(axes[0, 0], ratios)
            for number, (name, values) in enumerate(ratios.items()):
                sizes = np.sort(np.abs(values))
                share = np.arange(1, len(sizes) + 1) / len(sizes)
                label = f"{name}: median {np.median(sizes):.2f}"
                look = {"color": style.colour(number), "linestyle": style.line(number)}
                axes[0, 1].step(sizes, share, where="post", label=label, linewidth=1.4, **look)
            axes[0, 1].set_xlabel("|log2 ratio|")
            axes[0, 1].set_ylabel("share of channels below")
            style.legend(figure, *axes[0, 1].get_legend_handles_labels())
            style.title(figure, f"channel importance ratio: {_title(host)}; {len(values)} {space}")
    return paths


def draw_ratios(panel, ratios: dict[str, np.ndarray]) -> None:
    """Ratios (d,) by name: a point a channel, its points joined across names, where there are few; else histograms."""
    panel.set_xlabel("log2 importance in target / in source")
    panel.xaxis.set_major_locator(MaxNLocator(5))
    panel.axvline(0, color="black", linewidth=0.8)
    if len(next(iter(ratios.values()))) <= FEW:
        panel.plot(np.stack(list(ratios.values())), range(len(ratios)), color="#BBBBBB", linewidth=0.6, zorder=1)
        for number, values in enumerate(ratios.values()):
            look = {"color": style.colour(number), "marker": style.marker(number)}
            panel.scatter(values, np.full(len(values), number), s=22, alpha=0.8, linewidths=0, zorder=2, **look)
        panel.set_yticks(range(len(ratios)), ratios)
        panel.set_ylim(len(ratios) - 0.5, -0.5)  # the host above
        panel.grid(False, axis="y")
        return
    limit = float(np.quantile(np.abs(np.concatenate(list(ratios.values()))), 0.995)) or 1.0
    bins = np.linspace(-limit, limit, 31)
    for number, values in enumerate(ratios.values()):
        look = {"color": style.colour(number), "linestyle": style.line(number)}
        panel.hist(np.clip(values, -limit, limit), bins, histtype="step", linewidth=1.4, **look)
    panel.set_ylabel("channels")


def predictions(pairs: list[tuple[Result, list[Result]]], target: Path) -> list[Path]:
    """Probabilities with and without Craft for the test images where they differ most: gains above, losses below.

    The images are chosen by rule, not by hand: the three largest rises and the three largest falls of the true class's
    probability from host to Craft.
    """
    from dassl.utils import read_image

    paths: list[Path] = []
    for host, crafts in pairs:
        craft = crafts[-1]
        without, with_craft = models.load(host), models.load(craft)
        data = without.dm.dataset
        before, after = (models.look(trainer, data.test) for trainer in (without, with_craft))
        index = np.arange(len(data.test))
        change = (after.probability - before.probability)[index, before.labels].numpy()
        ranked = np.argsort(change, kind="stable")
        rows = [ranked[::-1][:3], ranked[:3]]
        title = f"predictions: {_title(host)}, {craft.trainer} and {host.trainer}"
        with style.sheet(target, slug(title), 2, 6, 9.6, 4.0, paths, width_ratios=[1, 1.5] * 3) as (figure, axes):
            for row, chosen in enumerate(rows):
                for column, number in enumerate(chosen):
                    picture, bars = axes[row, 2 * column], axes[row, 2 * column + 1]
                    picture.imshow(read_image(data.test[number].impath))
                    picture.axis("off")
                    truth = int(before.labels[number])
                    mean = before.probability[number] + after.probability[number]
                    others = [int(c) for c in mean.argsort(descending=True) if int(c) != truth][:2]
                    classes = [truth, *others][::-1]
                    for offset, seen, look in ((0.2, before, 0), (-0.2, after, 1)):
                        bars.barh(
                            [place + offset for place in range(len(classes))],
                            [seen.probability[number, c].item() for c in classes],
                            0.38,
                            color=style.colour(look),
                            hatch=style.hatch(look),
                            label=(host.trainer, craft.trainer)[look],
                        )
                    names = [without.lab2cname[c] + (" (true)" if c == truth else "") for c in classes]
                    bars.set_yticks(range(len(classes)), names)
                    bars.set_xlim(0, 1)
                    bars.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
                    bars.set_xlabel("probability" if row else "")
                    bars.set_title(f"{change[number]:+.2f}", loc="right")
            style.legend(figure, *axes[0, 1].get_legend_handles_labels())
            style.title(
                figure, f"{_title(host)}: largest gains (above) and losses (below) of the true class's probability"
            )
    return paths


def attempt(draw, pairs: list[tuple[Result, list[Result]]], target: Path) -> tuple[list[Path], list[str]]:
    """The figures that can be drawn, and why the others could not: data or checkpoints may be gone since."""
    paths, reasons = [], []
    for pair in pairs:
        try:
            paths += draw([pair], target)
        except UserError as error:
            reasons.append(f"{draw.__name__} of {pair[0].folder}: {error}")
    return paths, reasons
