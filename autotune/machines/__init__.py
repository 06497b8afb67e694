"""Real processes on a real machine: ports, workers, their turns, deadlines and locks."""
