"""What pytest calls: hooks, options, the reporter and the progress line. No other package imports pytest."""
