"""Where the templates are, and how Jinja2 reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

FOLDER = Path(__file__).resolve().parent / "templates"


def environment(**options: Any) -> jinja2.Environment:
    """The templates of this folder; a name that a template does not know is an error. options: of Jinja2."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        **options,
    )
