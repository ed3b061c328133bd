"""Commands about data: list, check, download, show, fewshot."""
