"""The report: the comparison of studies as one HTML page that works offline."""
