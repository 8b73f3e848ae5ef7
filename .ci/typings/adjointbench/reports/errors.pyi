from reports.errors import *
