"""For all tests: properties draw the same examples every time, and no example is timed."""

from hypothesis import settings

settings.register_profile("rmaat", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("rmaat")
