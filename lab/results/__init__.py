"""From the folders of runs to tables, figures and a report. `collect` reads runs, `tables` and `stats` do the sums."""
