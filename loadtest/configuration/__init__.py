"""What a run is asked to be: one typed document, one check, whichever door it came in by."""
