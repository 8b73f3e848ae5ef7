from reports.names import *
