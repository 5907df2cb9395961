"""Import customers and activities from files: lines, formats, batches, and the position saved between two starts."""
