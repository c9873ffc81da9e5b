"""Networks and the loop that trains them: the network from scratch, modules of torch, the training loop."""
