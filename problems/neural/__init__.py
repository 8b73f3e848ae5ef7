"""What the neural problems share: networks, losses, images."""
