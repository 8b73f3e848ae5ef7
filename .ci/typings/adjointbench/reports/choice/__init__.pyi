from reports.choice import *
