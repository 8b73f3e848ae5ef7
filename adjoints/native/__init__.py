"""Gradients of small systems as one native loop: equations traced, written as C, and compiled."""
