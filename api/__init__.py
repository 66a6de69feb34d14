"""JSON under /api/v1: read the request, call one Engine method, show the answer."""
