"""The laboratory: sweeps over many runs, results made of them, and benchmarks."""
