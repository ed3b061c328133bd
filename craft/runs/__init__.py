"""What a run is: its folder and state (`record`), what its numbers depend on (`identity`), and what it saves and goes on
from (`checkpoints`). Used by every run, and by everything that reads runs."""
