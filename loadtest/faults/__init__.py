"""Makes a plan's faults happen, in a process of its own, and undoes each one, whatever ends the run."""
