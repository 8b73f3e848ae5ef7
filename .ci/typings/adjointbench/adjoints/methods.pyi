from adjoints.methods import *
