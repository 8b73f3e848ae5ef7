from reports.collect import *
