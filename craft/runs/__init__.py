"""What a run is: its folder and state (`record`), what its numbers depend on (`identity`), and what it leaves to go
on from (`checkpoints`). Every run uses it, and everything that reads runs."""
