"""The host of the benchmarks: the example project, and beside it what one would write without this package."""
