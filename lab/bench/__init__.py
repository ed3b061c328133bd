"""Our paths against the published trainers' way of computing the same: `craft bench`."""

import craft.bundled  # noqa: F401  (makes `import dassl` work)
from craft import clip  # noqa: F401  (imports clip without its warning, before anything here does)
