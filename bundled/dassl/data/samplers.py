"""The order in which a loader visits a list of Datum."""

import copy
import random
from collections import defaultdict

import numpy as np
from torch.utils.data.sampler import RandomSampler, Sampler, SequentialSampler

from ..utils.errors import UnknownName, UserError


class _DomainSampler(Sampler):
    """Batches with equally many images of every chosen domain, drawn without replacement.

    An epoch ends when a chosen domain can no longer fill its share.
    """

    def __init__(self, data_source, batch_size, n_domain):
        self.data_source = data_source
        self.batch_size = batch_size
        self.domain_dict = defaultdict(list)
        for index, item in enumerate(data_source):
            self.domain_dict[item.domain].append(index)
        self.domains = self.order(list(self.domain_dict))
        self.n_domain = n_domain if n_domain and n_domain > 0 else len(self.domains)
        if batch_size % self.n_domain:
            raise UserError(f"batch size {batch_size} cannot be shared equally by {self.n_domain} domains")
        self.n_img_per_domain = batch_size // self.n_domain
        smallest = min(self.domain_dict, key=lambda domain: len(self.domain_dict[domain]))
        if len(self.domain_dict[smallest]) < self.n_img_per_domain:
            raise UserError(
                f"domain {smallest} has {len(self.domain_dict[smallest])} images, but a batch of {batch_size} takes "
                f"{self.n_img_per_domain} of each domain; lower the batch size"
            )
        # How many there are depends on the draw; as in Dassl, one draw is spent on finding out.
        self.length = len(list(iter(self)))

    def order(self, domains):
        raise NotImplementedError

    def choose(self):
        """The domains of the next batch."""
        raise NotImplementedError

    def __iter__(self):
        left = copy.deepcopy(self.domain_dict)
        drawn, full = [], True
        while full:
            for domain in self.choose():
                chosen = random.sample(left[domain], self.n_img_per_domain)
                drawn.extend(chosen)
                used = set(chosen)
                left[domain] = [index for index in left[domain] if index not in used]
                full = full and len(left[domain]) >= self.n_img_per_domain
        return iter(drawn)

    def __len__(self):
        return self.length


class RandomDomainSampler(_DomainSampler):
    """Batches of ``n_domain`` random domains (0 or less: all), each with batch_size / n_domain images."""

    def order(self, domains):
        return domains

    def choose(self):
        return random.sample(self.domains, self.n_domain)


class SeqDomainSampler(_DomainSampler):
    """Batches of all domains in ascending order, each with batch_size / domains images."""

    def __init__(self, data_source, batch_size):
        super().__init__(data_source, batch_size, n_domain=0)

    def order(self, domains):
        return sorted(domains)

    def choose(self):
        return self.domains


class RandomClassSampler(Sampler):
    """Batches of batch_size / n_ins random classes, each with ``n_ins`` images.

    A class with fewer images repeats them; what is left of a class after its last full share is not used.
    """

    def __init__(self, data_source, batch_size, n_ins):
        if batch_size < n_ins:
            raise ValueError(f"batch_size={batch_size} must be no less than n_ins={n_ins}")
        self.data_source = data_source
        self.batch_size = batch_size
        self.n_ins = n_ins
        self.ncls_per_batch = batch_size // n_ins
        self.index_dic = defaultdict(list)
        for index, item in enumerate(data_source):
            self.index_dic[item.label].append(index)
        self.labels = list(self.index_dic)
        if len(self.labels) < self.ncls_per_batch:
            raise UserError(
                f"a batch of {batch_size} with {n_ins} images a class needs {self.ncls_per_batch} classes, "
                f"but there are {len(self.labels)}; lower the batch size or raise N_INS"
            )
        self.length = len(list(iter(self)))

    def __iter__(self):
        shares = {label: self._shares(self.index_dic[label]) for label in self.labels}
        available, drawn = list(self.labels), []
        while len(available) >= self.ncls_per_batch:
            for label in random.sample(available, self.ncls_per_batch):
                drawn.extend(shares[label].pop(0))
                if not shares[label]:
                    available.remove(label)
        return iter(drawn)

    def _shares(self, indices):
        """The shuffled indices of one class in pieces of ``n_ins``; an incomplete last piece is dropped."""
        if len(indices) < self.n_ins:
            indices = np.random.choice(indices, size=self.n_ins, replace=True).tolist()
        else:
            indices = list(indices)
        random.shuffle(indices)
        return [indices[i : i + self.n_ins] for i in range(0, len(indices) - self.n_ins + 1, self.n_ins)]

    def __len__(self):
        return self.length


SAMPLERS = {
    "RandomSampler": lambda source, batch_size, n_domain, n_ins: RandomSampler(source),
    "SequentialSampler": lambda source, batch_size, n_domain, n_ins: SequentialSampler(source),
    "RandomDomainSampler": lambda source, batch_size, n_domain, n_ins: RandomDomainSampler(
        source, batch_size, n_domain
    ),
    "SeqDomainSampler": lambda source, batch_size, n_domain, n_ins: SeqDomainSampler(source, batch_size),
    "RandomClassSampler": lambda source, batch_size, n_domain, n_ins: RandomClassSampler(source, batch_size, n_ins),
}


def build_sampler(sampler_type, cfg=None, data_source=None, batch_size=32, n_domain=0, n_ins=16):
    """The sampler called ``sampler_type``. Raises UnknownName (a ValueError) for any other."""
    if sampler_type not in SAMPLERS:
        raise UnknownName("sampler", sampler_type, SAMPLERS)
    return SAMPLERS[sampler_type](data_source, batch_size, n_domain, n_ins)
