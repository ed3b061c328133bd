"""k-means of normalised features within each class."""

from __future__ import annotations

import warnings

import torch
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor


def class_anchors(features: Tensor, labels: Tensor, per_class: int, seed: int) -> tuple[Tensor, Tensor]:
    """(A, e) float32 centres and their (A,) labels, classes in ascending order.

    features: (N, e), already normalised. labels: (N,). per_class: K centres a class; a class with fewer images gets as
    many centres as it has images. For K = 1 the centre is the class mean. seed: of scikit-learn's k-means++.
    """
    centres, centre_labels = [], []
    for label in labels.unique().tolist():
        own = features[labels == label].double()
        count = min(per_class, len(own))
        if count == 1:
            found = own.mean(dim=0, keepdim=True)
        else:
            with warnings.catch_warnings():
                # Duplicate images give fewer distinct centres than asked for; the anchors are then repeated, harmless.
                warnings.simplefilter("ignore", ConvergenceWarning)
                fit = KMeans(count, n_init=10, random_state=seed).fit(own.numpy())
            found = torch.from_numpy(fit.cluster_centers_)
        centres.append(found.float())
        centre_labels += [label] * count
    return torch.cat(centres), torch.tensor(centre_labels)
