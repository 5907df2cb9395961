"""The commands `demo` and `test`: the package's main job, played and checked."""
