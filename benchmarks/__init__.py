"""Our paths against the published trainers' way of computing the same: `python -m benchmarks`."""

import bundled  # noqa: F401  (makes `import dassl` work)

import backbones  # noqa: F401  (imports clip without its warning, before anything here does)
