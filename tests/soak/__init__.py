"""What the project is put through at length: kills, damaged files, full disks, many processes, malformed input.

`python -m tests.soak` runs the parts (`kills`, `damage`, `full_disk`, `together`, `command_lines`, `fuzz`) and counts
outcomes; `bash scripts/soak.sh` is the same. A wrong outcome is other numbers, a traceback, or a run that hangs.
"""
