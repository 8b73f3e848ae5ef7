from reports.rows import *
