"""From ``cfg`` to loaders: the data set, its transforms and one DataLoader a split."""

import torch
import torchvision.transforms as T
from torch.utils.data import Dataset as TorchDataset

from ..utils.errors import UserError
from ..utils.images import read_image
from ..utils.tools import two_columns
from .datasets import build_dataset
from .samplers import build_sampler
from .transforms import INTERPOLATION_MODES, build_transform


def build_data_loader(
    cfg,
    sampler_type="SequentialSampler",
    data_source=None,
    batch_size=64,
    n_domain=0,
    n_ins=2,
    tfm=None,
    is_train=True,
    dataset_wrapper=None,
):
    """A DataLoader over a list of Datum.

    A training loader drops an incomplete last batch, unless there is no other. ``dataset_wrapper`` replaces
    DatasetWrapper. Raises UserError where there is nothing to load.
    """
    if not data_source:
        raise UserError("a split of the data set is empty; check DATASET.ROOT and DATASET.NUM_SHOTS")
    sampler = build_sampler(
        sampler_type, cfg=cfg, data_source=data_source, batch_size=batch_size, n_domain=n_domain, n_ins=n_ins
    )
    loader = torch.utils.data.DataLoader(
        (dataset_wrapper or DatasetWrapper)(cfg, data_source, transform=tfm, is_train=is_train),
        batch_size=batch_size,
        sampler=sampler,
        num_workers=cfg.DATALOADER.NUM_WORKERS,
        drop_last=is_train and len(data_source) >= batch_size,
        pin_memory=torch.cuda.is_available() and cfg.USE_CUDA,
    )
    if len(loader) == 0:
        raise UserError(f"sampler {sampler_type} fills no batch of {batch_size}; lower the batch size")
    return loader


class DataManager:
    """The data set with its loaders.

    ``dataset``, ``train_loader_x``, ``train_loader_u`` and ``val_loader`` (None where the data set has no such
    split), ``test_loader``, ``num_classes``, ``num_source_domains``, ``lab2cname``.

    Args:
        custom_tfm_train, custom_tfm_test: used instead of ``build_transform``.
        dataset_wrapper: used instead of DatasetWrapper.
    """

    def __init__(self, cfg, custom_tfm_train=None, custom_tfm_test=None, dataset_wrapper=None):
        dataset = build_dataset(cfg)
        tfm_train = self._transform(cfg, custom_tfm_train, is_train=True)
        tfm_test = self._transform(cfg, custom_tfm_test, is_train=False)

        def train_loader(source, settings):
            return build_data_loader(
                cfg,
                sampler_type=settings.SAMPLER,
                data_source=source,
                batch_size=settings.BATCH_SIZE,
                n_domain=settings.N_DOMAIN,
                n_ins=settings.N_INS,
                tfm=tfm_train,
                is_train=True,
                dataset_wrapper=dataset_wrapper,
            )

        def test_loader(source):
            return build_data_loader(
                cfg,
                sampler_type=cfg.DATALOADER.TEST.SAMPLER,
                data_source=source,
                batch_size=cfg.DATALOADER.TEST.BATCH_SIZE,
                tfm=tfm_test,
                is_train=False,
                dataset_wrapper=dataset_wrapper,
            )

        settings_x, settings_u = cfg.DATALOADER.TRAIN_X, cfg.DATALOADER.TRAIN_U
        if settings_u.SAME_AS_X:
            settings_u = settings_x
        self.dataset = dataset
        self.train_loader_x = train_loader(dataset.train_x, settings_x)
        self.train_loader_u = train_loader(dataset.train_u, settings_u) if dataset.train_u else None
        self.val_loader = test_loader(dataset.val) if dataset.val else None
        self.test_loader = test_loader(dataset.test)

        self._num_classes = dataset.num_classes
        self._num_source_domains = len(cfg.DATASET.SOURCE_DOMAINS)
        self._lab2cname = dataset.lab2cname
        if cfg.VERBOSE:
            self.show_dataset_summary(cfg)

    @staticmethod
    def _transform(cfg, custom, is_train):
        if custom is None:
            return build_transform(cfg, is_train=is_train)
        print(f"* Using custom transform for {'training' if is_train else 'testing'}")
        return custom

    @property
    def num_classes(self):
        return self._num_classes

    @property
    def num_source_domains(self):
        return self._num_source_domains

    @property
    def lab2cname(self):
        return self._lab2cname

    def show_dataset_summary(self, cfg):
        """Print the data set's name, domains and sizes."""
        dataset = self.dataset
        rows = [("Dataset", cfg.DATASET.NAME)]
        rows += [("Source", cfg.DATASET.SOURCE_DOMAINS)] if cfg.DATASET.SOURCE_DOMAINS else []
        rows += [("Target", cfg.DATASET.TARGET_DOMAINS)] if cfg.DATASET.TARGET_DOMAINS else []
        rows += [("# classes", f"{self.num_classes:,}"), ("# train_x", f"{len(dataset.train_x):,}")]
        rows += [("# train_u", f"{len(dataset.train_u):,}")] if dataset.train_u else []
        rows += [("# val", f"{len(dataset.val):,}")] if dataset.val else []
        rows += [("# test", f"{len(dataset.test):,}")]
        print(two_columns(rows))


class DatasetWrapper(TorchDataset):
    """A list of Datum as a torch data set.

    An item is a dict: ``img``, ``label``, ``domain``, ``impath``, ``index``. With a list of transforms the
    results are ``img``, ``img2``, ``img3``, …; with DATALOADER.K_TRANSFORMS > 1 each is a list of K views;
    with DATALOADER.RETURN_IMG0 ``img0`` is the image without augmentation. Without a transform ``img`` is the
    PIL image.
    """

    def __init__(self, cfg, data_source, transform=None, is_train=False):
        self.cfg = cfg
        self.data_source = data_source
        self.transform = transform
        self.is_train = is_train
        self.k_tfm = cfg.DATALOADER.K_TRANSFORMS if is_train else 1
        self.return_img0 = cfg.DATALOADER.RETURN_IMG0
        if self.k_tfm > 1 and transform is None:
            raise ValueError(f"Cannot augment the image {self.k_tfm} times because transform is None")
        steps = [T.Resize(cfg.INPUT.SIZE, interpolation=INTERPOLATION_MODES[cfg.INPUT.INTERPOLATION]), T.ToTensor()]
        if "normalize" in cfg.INPUT.TRANSFORMS:
            steps.append(T.Normalize(mean=cfg.INPUT.PIXEL_MEAN, std=cfg.INPUT.PIXEL_STD))
        self.to_tensor = T.Compose(steps)

    def __len__(self):
        return len(self.data_source)

    def __getitem__(self, idx):
        item = self.data_source[idx]
        output = {"label": item.label, "domain": item.domain, "impath": item.impath, "index": idx}
        img0 = read_image(item.impath)
        if self.transform is None:
            output["img"] = img0
        elif isinstance(self.transform, (list, tuple)):
            for position, tfm in enumerate(self.transform, start=1):
                output["img" if position == 1 else f"img{position}"] = self._transform_image(tfm, img0)
        else:
            output["img"] = self._transform_image(self.transform, img0)
        if self.return_img0:
            output["img0"] = self.to_tensor(img0)
        return output

    def _transform_image(self, tfm, img0):
        views = [tfm(img0) for _ in range(self.k_tfm)]
        return views[0] if len(views) == 1 else views
