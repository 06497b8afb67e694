"""Whether this machine is fit for measuring: probes take readings, checks judge them."""
