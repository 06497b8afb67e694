"""What is asked of a model, as values: its data, preprocessing and mix of shapes; no runtime."""
