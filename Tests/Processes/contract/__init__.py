"""What the HTTP contract promises: by its document, under contention, and the judge of it all."""
