"""What `dondoc bench` measures, and the believable year of the demo."""
