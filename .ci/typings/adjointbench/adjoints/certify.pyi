from adjoints.certify import *
