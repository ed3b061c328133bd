"""In which other layouts people have the data sets, one file a set, as data: `craft data adopt` works from these
declarations. A file is called like the reader's in ``datasets/readers/`` and holds ``LAYOUTS``."""
