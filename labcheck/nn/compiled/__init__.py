"""Training of small multilayer perceptrons by compiled loops, one model at a time.

The stacked networks of `labcheck.nn.scratch` pay for each operation of torch, and share this price among many models.
Here, Numba compiles an epoch of a network to one function, which has no such price, so that a single model trains at
full speed on one thread of a CPU. The formulas are those of `labcheck.nn.scratch`, written as loops.

Each module has one concept: `linear`, `batchnorm`, `activations`, `losses` and `optimizers` are the parts of `epoch`,
`elementary` has the functions of which activations are made, and `tiles` a part of matrix products. `training` connects
these kernels with the networks from scratch, in whose memory they compute. It alone can be imported without Numba.
"""
