"""The child process: the only place that imports openvino.

It holds one compiled model and does what it is told over its pipes; every decision is the parent's.
Only the standard library, numpy and openvino are imported here, so that it starts fast and no other
thread pool disturbs a measurement.
"""
