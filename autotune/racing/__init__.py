"""Contenders side by side: who enters, launches and turns, and the races that users ask for."""
