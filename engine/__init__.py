"""The domain of dondoc: rules (flat files), use cases (`service`) and the database (`store`)."""
