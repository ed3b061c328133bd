"""Top-k accuracy of a batch."""

import torch

__all__ = ["compute_accuracy"]


def compute_accuracy(output, target, topk=(1,)):
    """Percentage of samples whose label is among the k highest logits.

    Args:
        output: logits [B, C]; of a tuple or list, the first item counts.
        target: labels [B].
        topk: the k to compute, e.g. ``(1, 5)``.

    Returns:
        list of float tensors of shape [1], one for each k.
    """
    if isinstance(output, (tuple, list)):
        output = output[0]
    _, ranked_BK = output.topk(max(topk), dim=1)
    hit_BK = ranked_BK.eq(target.view(-1, 1))
    return [hit_BK[:, :k].any(dim=1).to(torch.float32).mean(dim=0, keepdim=True) * 100.0 for k in topk]
