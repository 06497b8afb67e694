"""One database for each study: Optuna's tables and ours. Evidence is written first, then told."""
