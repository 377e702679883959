"""What all four rooms share: errors, settings, whole-or-not-at-all files, progress.

It lives in the room furthest upstream because imports point upstream only.
"""
