from reports.read import *
