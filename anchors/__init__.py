"""Static image anchors: k-means of the frozen features of a run's training images, cached on disk (`static`)."""

import craft.bundled  # noqa: F401  (makes `import dassl` work)
