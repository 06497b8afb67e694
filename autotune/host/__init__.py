"""The machine as the kernel tells it: one reader for fingerprint, doctor and worker.

Standard library only. `root` is where /proc and /sys are, so that a test can bring its own. What
this machine does not give is an OSError or a ValueError that names the file.
"""
