"""Dassl's public API for prompt-learning trainers, written for current torch.

The names, configuration keys, log lines and output layout are those of Dassl 0.6.3
(https://github.com/KaiyangZhou/Dassl.pytorch), so that trainers and data-set readers written for it run
unchanged. Its domain-adaptation and semi-supervised trainers, data sets and CNNs are not here.
"""

__version__ = "0.6.3+bundled"
