from reports.comparing import *
