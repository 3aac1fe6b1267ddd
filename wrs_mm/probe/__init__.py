"""The paper's two implicit biases, measured in a network: weight norms, and the span of the features."""
