"""From a configuration to a finished run: objects, initial state, training, result."""
