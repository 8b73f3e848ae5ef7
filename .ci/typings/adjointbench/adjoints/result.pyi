from adjoints.result import *
