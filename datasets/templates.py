"""The hand-written text of a class: which template a run puts the class names into. A reader declares its own."""

from __future__ import annotations

from craft.common.errors import UserError
from craft.datasets.registry import dataset_class

DEFAULT_TEMPLATE = "a photo of a {}."


def template_for(cfg, dataset=None) -> str:
    """The text template of a run.

    DATASET.TEMPLATE where it is set, else the data set's own, else "a photo of a {}." (Dassl's own data sets have
    none). ``dataset`` is the loaded data set (or its class); without it the class registered as DATASET.NAME is asked.
    Raises UserError for a template without exactly one ``{}`` or an unknown DATASET.NAME.
    """
    template = cfg.DATASET.TEMPLATE
    if not template:
        if dataset is None:
            dataset = dataset_class(cfg.DATASET.NAME)
        template = getattr(dataset, "template", "") or DEFAULT_TEMPLATE
    if template.count("{}") != 1 or template.replace("{}", "").count("{") + template.replace("{}", "").count("}"):
        raise UserError(f"the text template {template!r} must hold {{}} exactly once, where the class name goes")
    return template
