"""autotune: the OpenVINO settings with the highest throughput under a latency cap."""
