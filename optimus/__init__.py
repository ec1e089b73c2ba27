"""Optimus Ingestor: edX research data packages in, databases and a Parquet lake out."""

__version__ = "1.0.0"
