from problems.reference import *
