"""What a configuration is: typed keys, ranges, the parts that a `_target_` names, the identity of a
run. Only Hydra and the standard library; no torch.
"""
