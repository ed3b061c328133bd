"""Our paths against the published trainers' way of computing the same: `craft bench`."""

import craft.bundled  # noqa: F401  (makes `import dassl` work)
