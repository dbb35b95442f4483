"""From ids on disk to batches on a device.

Which tokens a batch holds is a function of (seed, epoch, position) alone, never of an iterator's history, so that a run
is taken up again anywhere at once.  Batches are time-major.
"""
