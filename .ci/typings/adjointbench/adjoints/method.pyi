from adjoints.method import *
