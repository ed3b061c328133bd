"""What a prompt structure is to everything else (`learner`), and the blocks that structures are built of: contexts in
words and slots (`context`), deep prompts and the checks that they fit a tower (`deep`). Names no structure."""
