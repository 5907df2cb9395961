"""Tags for the host's templates."""
