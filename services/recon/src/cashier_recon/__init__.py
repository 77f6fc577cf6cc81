"""The reconciliation service: books what happened and finds what does not agree."""
