"""What we write: the lake and plain files, each made visible whole or not at all."""
