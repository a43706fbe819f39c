"""The console commands. Nothing here imports torch before a run starts."""
