from adjoints.gradient import *
