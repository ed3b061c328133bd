"""From a sweep to the paper's tables: what a run is (`record`), and which runs make up a protocol (`catalogue`)."""
