"""Readers of published data sets, one a file. Importing this package imports, and so registers, every file of it."""

import importlib
import pkgutil

for _file in sorted(pkgutil.iter_modules(__path__), key=lambda file: file.name):
    importlib.import_module(f"{__name__}.{_file.name}")
