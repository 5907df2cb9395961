"""Glue for packages that announce no signup; each module is imported by the host that names it, and by nobody else."""
