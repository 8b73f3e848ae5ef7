"""What is added to a loss so that the equations become easy to solve."""
