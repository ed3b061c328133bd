"""Where a run reads its images, and what it does about one that cannot be decoded. Pass ``ReadableImages`` to Dassl's
``DataManager`` as ``dataset_wrapper``."""

from __future__ import annotations

from dassl.data import DatasetWrapper
from PIL import Image

from common.errors import UserError

GREY = (128, 128, 128)


class ReadableImages(DatasetWrapper):
    """Dassl's DatasetWrapper, with DATASET.BAD_IMAGES and with the ``group`` and ``attribute`` of items that have them.

    ``error``   a damaged or missing image ends the run with a UserError that names it
    ``skip``    it is reported once a process and the run goes on: in training the next image of the same class and
                domain takes its place; in evaluation a plain grey image does, so that the number of images stays what
                the tables say and the model gets no credit for guessing from nothing
    """

    def __init__(self, cfg, data_source, transform=None, is_train=False):
        super().__init__(cfg, data_source, transform=transform, is_train=is_train)
        self.policy = cfg.DATASET.BAD_IMAGES
        if self.policy not in ("error", "skip"):
            raise UserError(f"DATASET.BAD_IMAGES is {self.policy!r}; it can be error or skip")
        self.bad: set[int] = set()

    def __getitem__(self, idx):
        output = self._read(idx)
        item = self.data_source[output["index"]]
        for name in ("attribute", "group"):
            value = getattr(item, name, None)
            if value is not None:
                output[name] = value
        return output

    def _read(self, idx):
        if idx not in self.bad:
            try:
                return super().__getitem__(idx)
            except UserError as error:
                if self.policy == "error":
                    raise UserError(f"{error}; DATASET.BAD_IMAGES skip goes on without it") from error
                print(f"Skipping a bad image: {error}")
                self.bad.add(idx)
        return self._stand_in(idx)

    def _stand_in(self, idx):
        item = self.data_source[idx]
        if not self.is_train:
            return self._grey(idx, item)
        count = len(self.data_source)
        for other in ((idx + step) % count for step in range(1, count)):
            candidate = self.data_source[other]
            if other not in self.bad and (candidate.label, candidate.domain) == (item.label, item.domain):
                return self._read(other)
        raise UserError(f"no image of class {item.classname!r} can be read; see the first one: {item.impath}")

    def _grey(self, idx, item):
        """What Dassl's wrapper returns for one image in evaluation, for a grey one."""
        grey = Image.new("RGB", (256, 256), GREY)
        output = {"label": item.label, "domain": item.domain, "impath": item.impath, "index": idx}
        if isinstance(self.transform, (list, tuple)):
            for number, transform in enumerate(self.transform, start=1):
                output["img" if number == 1 else f"img{number}"] = transform(grey)
        else:
            output["img"] = grey if self.transform is None else self.transform(grey)
        if self.return_img0:
            output["img0"] = self.to_tensor(grey)
        return output
