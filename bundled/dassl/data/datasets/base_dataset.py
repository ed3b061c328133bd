"""An image with its label, and a data set as lists of them."""

import os
import os.path as osp
import random
import shutil
from collections import defaultdict

from ...utils.errors import UserError
from ...utils.files import atomic_path
from ...utils.tools import require_file


class Datum:
    """One image: its path, label, domain (both int) and class name.

    Raises UserError where ``impath`` is not a file.
    """

    # Plain attributes under these names: pickles written with upstream's Datum can be read.
    def __init__(self, impath="", label=0, domain=0, classname=""):
        if not isinstance(impath, str):
            raise TypeError(f"impath must be a str, but got {type(impath).__name__}")
        require_file(impath)
        self._impath = impath
        self._label = label
        self._domain = domain
        self._classname = classname

    @property
    def impath(self):
        return self._impath

    @property
    def label(self):
        return self._label

    @property
    def domain(self):
        return self._domain

    @property
    def classname(self):
        return self._classname

    def __repr__(self):
        return f"Datum({self.impath!r}, label={self.label}, domain={self.domain}, classname={self.classname!r})"


class DatasetBase:
    """Lists of Datum: ``train_x`` (labelled), ``train_u`` (unlabelled), ``val`` and ``test``; all but train_x and
    test may be None. Readers set ``dataset_dir`` and ``domains`` and call ``super().__init__`` with the lists."""

    dataset_dir = ""
    domains = []

    def __init__(self, train_x=None, train_u=None, val=None, test=None):
        if not train_x:
            raise UserError(f"data set {type(self).__name__} has no labelled training images")
        self._train_x = train_x
        self._train_u = train_u
        self._val = val
        self._test = test
        self._num_classes = self.get_num_classes(train_x)
        self._lab2cname, self._classnames = self.get_lab2cname(train_x)

    @property
    def train_x(self):
        return self._train_x

    @property
    def train_u(self):
        return self._train_u

    @property
    def val(self):
        return self._val

    @property
    def test(self):
        return self._test

    @property
    def lab2cname(self):
        """Class name of each label."""
        return self._lab2cname

    @property
    def classnames(self):
        """Class names in the order of their labels."""
        return self._classnames

    @property
    def num_classes(self):
        return self._num_classes

    @staticmethod
    def get_num_classes(data_source):
        """Highest label + 1."""
        return max(item.label for item in data_source) + 1

    @staticmethod
    def get_lab2cname(data_source):
        """``{label: class name}`` and the class names in the order of their labels."""
        mapping = {item.label: item.classname for item in data_source}
        return mapping, [mapping[label] for label in sorted(mapping)]

    def check_input_domains(self, source_domains, target_domains):
        """Raise UserError unless both lists are non-empty and known."""
        for key, domains in (("SOURCE_DOMAINS", source_domains), ("TARGET_DOMAINS", target_domains)):
            if not domains:
                raise UserError(f"DATASET.{key} is empty; choose from {', '.join(self.domains)}")
            self.is_input_domain_valid(domains)

    def is_input_domain_valid(self, input_domains):
        """Raise ValueError for a domain that the data set does not have."""
        for domain in input_domains:
            if domain not in self.domains:
                raise ValueError(f"Input domain must belong to {self.domains}, but got [{domain}]")

    def download_data(self, url, dst, from_gdrive=True):
        """Download an archive from Google Drive to ``dst`` and unpack it beside; nothing may leave that folder."""
        if not from_gdrive:
            raise NotImplementedError("only Google Drive links; download the archive by hand")
        if not dst.endswith((".zip", ".tar", ".tar.gz")):
            raise NotImplementedError(f"{dst}: expected .zip, .tar or .tar.gz")
        try:
            import gdown
        except ImportError:
            raise UserError(f"downloading {url} needs gdown: pip install gdown") from None
        folder = osp.dirname(dst) or "."
        os.makedirs(folder, exist_ok=True)
        with atomic_path(dst) as temporary:
            if gdown.download(url, str(temporary), quiet=False) is None:
                raise UserError(f"could not download {url}; download it by hand to {dst}")
        print("Extracting file ...")
        # The "data" filter refuses paths, links and devices that would reach outside; zips never unpack those.
        shutil.unpack_archive(dst, folder, **({} if dst.endswith(".zip") else {"filter": "data"}))
        print(f"File extracted to {folder}")

    def generate_fewshot_dataset(self, *data_sources, num_shots=-1, repeat=False):
        """Draw ``num_shots`` images of each class from every list.

        Classes come in the order of their first image and are drawn from the ``random`` module's stream, so a
        seed gives the images that Dassl gives. A class with fewer images gives all of them, or ``num_shots``
        with repetition where ``repeat``. ``num_shots`` below 1 changes nothing.

        Returns:
            one list for one source, else a list of lists.
        """
        if num_shots < 1:
            return data_sources[0] if len(data_sources) == 1 else data_sources
        print(f"Creating a {num_shots}-shot dataset")
        output = []
        for data_source in data_sources:
            drawn = []
            for items in self.split_dataset_by_label(data_source).values():
                if len(items) >= num_shots:
                    items = random.sample(items, num_shots)
                elif repeat:
                    items = random.choices(items, k=num_shots)
                drawn.extend(items)
            output.append(drawn)
        return output[0] if len(output) == 1 else output

    def split_dataset_by_label(self, data_source):
        """``{label: [Datum, …]}``, labels in the order of their first image."""
        return _group(data_source, "label")

    def split_dataset_by_domain(self, data_source):
        """``{domain: [Datum, …]}``, domains in the order of their first image."""
        return _group(data_source, "domain")


def _group(data_source, attribute):
    groups = defaultdict(list)
    for item in data_source:
        groups[getattr(item, attribute)].append(item)
    return groups
