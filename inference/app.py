"""A page to try a classifier on: an image in, probabilities out, class names that can be changed, anchors beside.

    craft app --model-dir output/…/seed1

Needs the extra app (Gradio). It answers on this machine only, at 127.0.0.1, unless --host says otherwise, loads nothing
from anywhere, and writes nothing but Gradio's own temporary copies of what is uploaded.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from craft.common import imports
from craft.common.arguments import Parser, whole
from craft.common.errors import UserError, entry_point
from craft.inference import options

if TYPE_CHECKING:
    from PIL.Image import Image

    from craft.inference.learned import Learned

ANCHORS_SHOWN = 6
LOOPBACK = "127.0.0.1"


def parser() -> Parser:
    out = Parser("craft app", description=__doc__)
    add = out.add_argument
    options.add_run(out)
    add("--host", default=LOOPBACK, help=f"address to answer at (default: {LOOPBACK}, this machine only)")
    add("--port", type=whole(1, 65535), default=7860, help="port to answer at (default: 7860)")
    add("--device", default="", help="cpu, cuda or cuda:N (default: CUDA where there is one)")
    imports.add_option(out)
    return out


@entry_point
def main(argv: list[str] | None = None) -> int:
    asked = parser().parse_args(argv)
    for name in asked.imports:
        imports.load(name)
    from craft.inference import learned

    page = build(Answers(learned.load(asked.model_dir, epoch=asked.load_epoch, device=asked.device or None)))
    if asked.host != LOOPBACK:
        print(f"warning: anybody who reaches {asked.host}:{asked.port} can use this page", file=sys.stderr)
    print(f"http://{asked.host}:{asked.port}  (Ctrl-C ends it)", flush=True)
    launch(page, asked.host, asked.port)
    return 0


class Answers:
    """What the page asks: `answer` for an image and a text of class names."""

    def __init__(self, model: Learned):
        self.own = self.model = model
        self.anchors, self.no_anchors = anchors_of(model)

    def answer(self, image: Image | None, names: str) -> tuple[dict[str, float], list[tuple[Any, str]], str]:
        """({class: probability}, [(picture of a near anchor, words)], what must be said); empty without an image.

        names: one class a line. A mistake in them is said, and no probability given.
        """
        if image is None:
            return {}, [], ""
        try:
            self._take(names)
        except UserError as error:
            return {}, [], str(error)
        pixels = self.model.transform(image.convert("RGB"))[None]
        probabilities = self.model.probabilities(pixels)[0].tolist()
        near, note = self._near(pixels) if self.anchors else ([], self.no_anchors)
        return dict(zip(self.model.classnames, probabilities)), near, note

    def _take(self, names: str) -> None:
        """Make the classifier one of these class names, once."""
        from craft.inference import learned

        wanted = [line.strip() for line in names.splitlines() if line.strip()]
        if wanted == self.model.classnames:
            return
        if wanted == self.own.classnames:
            self.model = self.own
        else:
            self.model = learned.load(self.own.folder, wanted, self.own.epoch, self.own.device)

    def _near(self, pixels) -> tuple[list[tuple[Any, str]], str]:
        from dassl.utils import read_image

        centres, labels, pictures, names = self.anchors
        frozen = self.own.model.frozen_image(pixels.to(self.own.device))[0].float().cpu()
        cosines = centres @ frozen
        values, order = cosines.topk(min(ANCHORS_SHOWN, len(centres)))
        return [
            (read_image(pictures[i]), f"{names[labels[i]]} {v:.3f}") for v, i in zip(values.tolist(), order.tolist())
        ], ""


def anchors_of(model: Learned):
    """((A, e) unit centres, A labels, for each the training image nearest to it, class names), or why there are none.

    They are the static anchors of the run's training images, made or found as in training.
    """
    import torch.nn.functional as F
    from dassl.data.datasets import build_dataset
    from dassl.utils import set_random_seed

    from craft import datasets
    from craft.anchors.static import static_anchors
    from craft.clip.features import frozen_features
    from craft.datasets import ReadableImages
    from craft.inference.learned import record_of_training
    from craft.trainers.settings import cfg_of_record

    cfg = cfg_of_record(record_of_training(model.folder)["config"])
    datasets.enter_into_dassl()
    try:
        if cfg.SEED >= 0:
            set_random_seed(cfg.SEED)
        dataset = build_dataset(cfg)
        backbone = model.model.backbone
        found = static_anchors(cfg, dataset, backbone)
        images = ReadableImages(cfg, dataset.train_x, transform=model.transform)
        features = frozen_features(backbone, images, 64)
    except UserError as error:
        return None, f"no anchors are shown: {error}"
    centres = F.normalize(found.features, dim=-1)
    nearest = (centres @ features.T).argmax(dim=1).tolist()
    pictures = [dataset.train_x[i].impath for i in nearest]
    return (centres, found.labels.tolist(), pictures, dataset.classnames), ""


def build(answers: Answers):
    """The page, a ``gradio.Blocks``. UserError without the extra app."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        import gradio as gr
    except ImportError as error:
        raise UserError(
            f"craft app needs the extra app ({error.name} is missing): pip install '.[app]' in the clone"
        ) from error

    model = answers.own
    with gr.Blocks(title=f"{model.trainer}", analytics_enabled=False) as page:
        gr.Markdown(f"## {model.trainer}\n{len(model.classnames)} classes, learned in `{model.folder}`")
        with gr.Row():
            with gr.Column():
                image = gr.Image(type="pil", label="Image", height=320, sources=["upload", "clipboard"])
                names = gr.Textbox(
                    "\n".join(model.classnames), label="Classes, one a line", lines=6, max_lines=12,
                    interactive=not model.model.class_specific,
                )  # fmt: skip
            with gr.Column():
                label = gr.Label(num_top_classes=8, label="Probabilities")
                gallery = gr.Gallery(
                    label="Nearest anchors, each by its nearest training image (cosine)",
                    columns=3,
                    height=None,
                    object_fit="contain",
                )
                note = gr.Markdown()
        for event in (image.change, names.blur):
            event(answers.answer, [image, names], [label, gallery, note])
    return page


def launch(page, host: str, port: int, wait: bool = True):
    """Answer at ``host:port``; UserError where it is taken."""
    import gradio as gr

    system = gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"])  # no fonts from elsewhere
    try:
        return page.launch(
            server_name=host, server_port=port, share=False, quiet=True, prevent_thread_lock=not wait, theme=system,
            footer_links=[],
        )  # fmt: skip
    except OSError as error:
        raise UserError(f"cannot answer at {host}:{port} ({error}); choose another --port") from error


if __name__ == "__main__":
    sys.exit(main())
