"""The pytest plugin: hooks, options, the reporter and the progress line. No other package imports pytest."""
