"""REST: what programs and people are told of the ingestion."""
