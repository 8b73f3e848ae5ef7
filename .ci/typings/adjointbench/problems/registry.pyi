from problems.registry import *
