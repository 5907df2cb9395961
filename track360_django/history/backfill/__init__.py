"""What was there before the package: users, and rows of declared models, recognised and reported in pages."""
