"""The Hydra configuration groups of fdi; this folder is the package `fdi.conf`."""
