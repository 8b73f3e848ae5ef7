from reports.claims import *
