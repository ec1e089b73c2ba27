"""What edX sends, and how to read it. Pure: no database, no settings, no clock."""
