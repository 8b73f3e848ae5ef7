from adjoints.regularizer import *
