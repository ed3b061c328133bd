"""The trainers that all prompt structures share: the loop, Craft on top of it, evaluation, and groups."""
