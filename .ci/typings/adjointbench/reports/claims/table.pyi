from reports.claims.table import *
