"""labcheck: tests that report whether the claims of a deep-learning report hold for other seeds.

Everything that a module of claims needs can be imported from here, without importing torch:

    from labcheck import Arm, Claim, Metric, beats

Labs are in `labcheck.labs`, and the network from scratch in `labcheck.nn.scratch`. All other modules are internal.
"""

import lazy_loader

__version__ = "0.1.0"

# names are imported on first use, since pytest loads this package in every project that has labcheck installed
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
