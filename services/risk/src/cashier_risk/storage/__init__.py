"""Where risk keeps its truth: tables, SQL and what the flows' ports look like on them."""
