"""What a run is: its folder and state (`record`), what its numbers depend on (`identity`), and what it leaves to be
used again: learned prompts (`checkpoints`) and what an interrupted run goes on from (`states`). Every run uses it, and
everything that reads runs."""
