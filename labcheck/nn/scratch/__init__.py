"""A neural network from scratch: layers, losses, initial weights, optimizers and schedules in plain tensor arithmetic.

Nothing here uses autograd or torch.nn. Each layer and each loss implements its forward pass and, below it, its backward
pass; the formulas of both are above their code. Every formula is tested against torch in float64.

Backpropagation is the chain rule, applied from the loss back to the first layer. A layer that computed y from x
receives g = ∂loss/∂y and returns ∂loss/∂x, which is the g of the layer before it. From the same g it computes the
gradients of the loss with respect to its own parameters, which the optimizer then subtracts, times the learning rate.

K models of one architecture train side by side, and one model is the case K = 1. Activations are feature-major, of
shape ``(K, features, batch)``: a minibatch of all K models is then one batched matrix product, the values of one
feature are adjacent in memory, and sums over the batch read contiguous memory. On a CPU, this makes it cheap to train
many tiny nets at once.

The modules build on each other in this order: `layers`, `activations`, `losses`, `network`; then `initializers`,
`optimizers`, `schedules`. `products` only makes matrix products fast.
"""
