"""The report: one HTML file of whatever was given, made of sections, these of parts."""
