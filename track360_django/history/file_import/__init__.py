"""Reading customers and activities from files: lines, formats, batches, and what is remembered between two starts."""
