"""Triton kernels: a layer over a whole trial in one launch. Nothing here imports triton before it
is used.
"""
