"""Sweeps: protocols as data, the plan of their runs, the runner, and the executors that carry runs out."""
