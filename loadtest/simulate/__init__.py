"""A service as a queue of events: what a plan would do to more machines than there are to try it on."""
