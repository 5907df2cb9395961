"""Users and rows of declared models that existed before the package: find and report them, page by page."""
