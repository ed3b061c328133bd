"""A learned classifier as a file that needs nothing of this project: safetensors, ONNX, or a folder with its reader.

    craft export --model-dir output/…/seed1 --to classifier.safetensors
    craft export --model-dir output/…/seed1 --to classifier.onnx
    craft export --model-dir output/…/seed1 --to my_classifier
    craft export --model-dir output/…/seed1 --to classes.safetensors --embeddings-only

It holds the image tower with its learned tokens, an embedding a class, scale, preprocessing and names; other class
names may be given, as for `craft predict`. --embeddings-only leaves the image tower out, for use with a CLIP that is
at hand in another library: right only where the image tower has no learned tokens, and refused elsewhere.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import craft
from craft.common import imports
from craft.common.arguments import Parser
from craft.common.errors import UserError, entry_point
from craft.common.files import atomic_path
from craft.inference import options, rejection

if TYPE_CHECKING:
    from torch import Tensor

    from craft.inference.learned import Learned

ONNX_OPSET = 18


def parser() -> Parser:
    out = Parser("craft export", description=__doc__)
    add = out.add_argument
    options.add_run(out)
    add("--to", required=True, metavar="PLACE", help="FILE.safetensors, FILE.onnx, or a folder")
    options.add_classes(out)
    add("--embeddings-only", action="store_true", help="leave the image tower out")
    rejection.add_options(add)
    imports.add_option(out)
    return out


@entry_point
def main(argv: list[str] | None = None) -> int:
    asked = parser().parse_args(argv)
    for name in asked.imports:
        imports.load(name)
    from craft.inference import learned

    to = Path(asked.to)
    if to.suffix not in (".safetensors", ".onnx", ""):
        raise UserError(f"--to {to}: the name must end in .safetensors or .onnx, or be that of a folder")
    if to.suffix == ".onnx" and asked.embeddings_only:
        raise UserError("--embeddings-only goes into a .safetensors file")
    model = learned.load(asked.model_dir, options.names_asked(asked), asked.load_epoch, "cpu")
    threshold = rejection.asked(asked, model)
    export(model, to, asked.embeddings_only, threshold)
    return 0


def export(
    model: Learned, to: Path, embeddings_only: bool = False, threshold: rejection.Threshold | None = None
) -> None:
    """Write the classifier to ``to``; see this file's head. Whatever is written is whole or not there.

    UserError for texts that depend on the image (CoCoOp), for an image tower that is no vision transformer, and with
    ``embeddings_only`` for one that has learned tokens.
    """
    tensors, about = contents(model, embeddings_only)
    if threshold:
        about["reject"] = threshold.as_json()
    if to.suffix == ".onnx":
        write_onnx(tensors, about, to)
        written = [to]
    elif to.suffix == ".safetensors":
        write_safetensors(tensors, about, to)
        written = [to]
    else:
        to.mkdir(parents=True, exist_ok=True)
        write_safetensors(tensors, about, to / "classifier.safetensors")
        with atomic_path(to / "classify.py") as temporary:
            shutil.copyfile(Path(__file__).with_name("classify.py"), temporary)
        written = [to / "classifier.safetensors", to / "classify.py"]
    for path in written:
        print(f"{path}  {path.stat().st_size / 2**20:.1f} MiB")
    print(f"{model.trainer}, {len(model.classnames)} classes: {', '.join(model.classnames[:5])}, …"[:120])


def contents(model: Learned, embeddings_only: bool = False) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(float32 tensors by name, what a reader must know of them); the names are explained by ``classify.py``."""
    import torch
    from torchvision import transforms as T

    learner, backbone = model.model, model.model.backbone
    if learner.text_per_image:
        raise UserError(
            f"{model.trainer} makes other texts for each image, which needs the whole text tower at prediction: it "
            "cannot be exported as class embeddings; use `craft predict`, or train a structure with fixed texts"
        )
    if embeddings_only and learner.learns_vision:
        raise UserError(
            f"{model.trainer} has learned tokens in its image tower: its class embeddings fit no other; leave "
            "--embeddings-only out"
        )
    steps = model.transform.transforms
    resize = next(step for step in steps if isinstance(step, T.Resize))
    about: dict[str, Any] = {
        "format": 1,
        "classes": model.classnames,
        "resolution": backbone.resolution,
        "interpolation": resize.interpolation.value,
        "mean": list(map(float, backbone.pixel_mean)),
        "std": list(map(float, backbone.pixel_std)),
        "activation": backbone.activation,
        "backbone": {"name": backbone.name, "fingerprint": backbone.fingerprint},
        "trainer": model.trainer,
        "epoch": model.epoch,
        "craft": craft.__version__,
    }
    with torch.no_grad():
        tensors = {"text": learner.encode_text(), "scale": backbone.scale}
        if not embeddings_only:
            tower, sizes = backbone.plain_image_tower(learner.vision_prompts())
            tensors |= tower
            about |= sizes
    return {name: value.detach().float().cpu().contiguous() for name, value in tensors.items()}, about


def write_safetensors(tensors: dict[str, Tensor], about: dict[str, Any], to: Path) -> None:
    from craft.common import tensor_files

    tensor_files.write(to, tensors, {"classifier": json.dumps(about, ensure_ascii=False)})


def write_onnx(tensors: dict[str, Tensor], about: dict[str, Any], to: Path) -> None:
    """A graph from ``images`` (B, 3, R, R), prepared as ``classify.prepare`` does, to ``logits`` (B, C); any B."""
    import torch

    from craft.inference import classify

    try:
        import onnx
        import onnxscript  # noqa: F401  (torch's exporter needs it)
    except ImportError as error:
        raise UserError(
            f"{to}: writing ONNX needs the extra onnx ({error.name} is missing): pip install '.[onnx]' in the clone"
        ) from error

    class Graph(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, value in tensors.items():
                self.register_buffer(name.replace(".", "__"), value)

        def forward(self, images):
            return classify.logits({name: getattr(self, name.replace(".", "__")) for name in tensors}, about, images)

    side = about["resolution"]
    to.parent.mkdir(parents=True, exist_ok=True)
    program = torch.onnx.export(
        Graph().eval(),
        (torch.zeros(2, 3, side, side),),
        input_names=["images"],
        output_names=["logits"],
        dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
        opset_version=ONNX_OPSET,
        dynamo=True,
        verbose=False,
    )
    proto = program.model_proto
    onnx.helper.set_model_props(proto, {"classifier": json.dumps(about, ensure_ascii=False)})
    with atomic_path(to) as temporary:
        Path(temporary).write_bytes(proto.SerializeToString())


if __name__ == "__main__":
    sys.exit(main())
