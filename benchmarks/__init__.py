"""Our paths against the published trainers' way of computing the same: `python -m benchmarks`."""

import bundled  # noqa: F401  (makes `import dassl` work)
