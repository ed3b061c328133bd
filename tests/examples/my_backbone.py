"""A backbone of one's own that is not OpenAI's: other names of attributes, ReLU, words as tokens, texts of at most 24
tokens that are read in both directions (so nothing is shared between texts), its own mean and deviation of pixels, and
image features that are the mean of the patches'. It knows nothing; it shows what another family has to say."""

import re
import zlib

import torch
from torch import Tensor, nn

from craft.clip import Backbone, TextPrompts, VisionPrompts, register_backbone
from craft.common.errors import UserError

START, END, VOCABULARY = 0, 1, 512
SIZE, PATCH = 16, 4


class ToyModel(nn.Module):
    def __init__(self, text_width=24, vision_width=40, layers=2, context_length=24, embed_dim=16):
        super().__init__()

        def tower(width):
            return nn.ModuleList(
                nn.TransformerEncoderLayer(width, 2, 2 * width, 0.0, batch_first=True, norm_first=True)
                for _ in range(layers)
            )

        self.words = nn.Embedding(VOCABULARY, text_width)
        self.order = nn.Parameter(torch.randn(context_length, text_width))
        self.patches = nn.Conv2d(3, vision_width, PATCH, PATCH)
        self.grid = nn.Parameter(torch.randn((SIZE // PATCH) ** 2, vision_width))
        self.reader, self.viewer = tower(text_width), tower(vision_width)
        self.text_out, self.image_out = nn.Linear(text_width, embed_dim), nn.Linear(vision_width, embed_dim)


class ToyBackbone(Backbone):
    module: ToyModel
    pixel_mean, pixel_std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)

    def __init__(self, module: ToyModel, name: str, source: str):
        super().__init__(module, name, source, activation="relu")
        self.embed_dim, self.resolution = module.text_out.out_features, SIZE
        self.context_length, self.text_width = module.order.shape
        self.vision_width = module.grid.shape[1]
        self.text_depth, self.vision_depth = len(module.reader), len(module.viewer)

    @property
    def scale(self) -> Tensor:
        return torch.tensor(20.0, device=self.device)

    def tokenize(self, texts):
        rows = []
        for text in texts:
            words = re.findall(r"\w+|[^\w\s]", text.lower())
            rows.append([START, *(2 + zlib.crc32(word.encode()) % (VOCABULARY - 2) for word in words), END])
            if len(rows[-1]) > self.context_length:
                raise UserError(f"text is longer than {self.context_length} tokens: {text!r}; shorten the class name")
        return rows

    def embed(self, ids) -> Tensor:
        return self.module.words.weight.detach()[list(ids)]

    def encode_text(self, prompts: TextPrompts, chunk=0, compile_blocks=False) -> Tensor:
        x, ends_C = prompts.whole()  # (B, C, L, d)
        images, texts, length, _ = x.shape
        behind_CL = torch.arange(length, device=x.device) > ends_C[:, None]
        behind = behind_CL.repeat(images, 1)
        x = x.flatten(0, 1) + self.module.order[:length]
        for number, layer in enumerate(self.module.reader):
            if 1 <= number <= len(prompts.deep):
                states = prompts.deep[number - 1].expand(len(x), -1, -1)
                x = torch.cat([x[:, :1], states, x[:, 1 + states.shape[1] :]], dim=1)
            x = layer(x, src_key_padding_mask=behind)
        read = x[torch.arange(len(x), device=x.device), ends_C.repeat(images)]
        features = self.module.text_out(read).unflatten(0, (images, texts))
        return features if prompts.prefix.dim() == 3 else features[0]

    def encode_image(self, images: Tensor, prompts: VisionPrompts | None = None, compile_blocks=False) -> Tensor:
        x = self.module.patches(images).flatten(2).transpose(1, 2) + self.module.grid
        count, deep = x.shape[1], prompts.deep if prompts else ()
        if prompts:
            x = torch.cat([x, prompts.shallow.expand(len(x), -1, -1)], dim=1)
        for number, layer in enumerate(self.module.viewer):
            if 1 <= number <= len(deep):
                x = torch.cat([x[:, :count], deep[number - 1].expand(len(x), -1, -1)], dim=1)
            x = layer(x)
        return self.module.image_out(x[:, :count].mean(dim=1))


def load_toy(name: str) -> ToyBackbone:
    """``toy:<seed>``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(name.removeprefix("toy:")))
        return ToyBackbone(ToyModel(), name, "random numbers")


register_backbone("toy:", load_toy, mean=ToyBackbone.pixel_mean, std=ToyBackbone.pixel_std)
