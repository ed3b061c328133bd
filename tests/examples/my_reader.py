"""A data set of one's own: plain pictures, blue or red, in ``colours/PART/CLASS/*.png`` below the data root."""

from craft.datasets import Item, PromptDataset, Split, register_reader
from craft.datasets.listing import image_names, subfolders


@register_reader
class Colours(PromptDataset):
    """Plain pictures, blue or red."""

    dataset_dir = "colours"
    template = "a picture that is {}."

    def read(self) -> Split:
        parts = {
            part: [
                Item(f"{part}/{name}/{file}", label, name)
                for label, name in enumerate(subfolders(self.folder / part))
                for file in image_names(self.folder / part / name)
            ]
            for part in ("train", "test")
        }
        return Split(parts["train"], None, parts["test"], listed=True, origin="the folders of colours")
