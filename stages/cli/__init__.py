"""The command `tagmask`: a thin layer over Snakemake and the stages' own commands, which keep working without it."""
