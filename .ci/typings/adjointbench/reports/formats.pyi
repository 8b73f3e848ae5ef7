from reports.formats import *
