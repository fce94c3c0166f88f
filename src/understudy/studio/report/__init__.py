"""The film's report: how well each stage did, as one HTML page."""
