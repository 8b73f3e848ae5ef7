from reports.timing import *
