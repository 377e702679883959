"""The front door's verbs, a file a theme; rooms are imported inside of functions, so that `rmaat --help` is quick."""
