"""Learned prompts in use: from a run's folder, or one's own images, to a classifier.

`learned` (a run as a function from images to probabilities), `reading` (images of one's own as batches), `predict` (the
command).
"""

import craft.bundled  # noqa: F401  (makes `import dassl` work)
