"""A network by hand: layers, losses, initial weights, optimizers and schedules in tensor arithmetic alone.

Nothing here uses autograd or torch.nn: what a forward pass computes, the backward pass under it takes apart again.

Activations are feature-major, ``(K, features, batch)``, for K models of one architecture; one model is K = 1. A
minibatch of all K models is then one batched matrix product, a feature's examples lie side by side, and sums over the
batch run along contiguous memory. On a CPU this is what makes K tiny nets cheap to train at once.

Read in this order: `layers`, `activations`, `losses`, `network`, then `initializers`, `optimizers`, `schedules`.
Every formula is held against torch's own, in float64.
"""
