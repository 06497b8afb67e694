"""Pure statistics on blocks and counts: no clock, no process, no database."""
