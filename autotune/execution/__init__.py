"""Workers and the machine: spawn, give turns, watch deadlines, classify faults, measure."""
