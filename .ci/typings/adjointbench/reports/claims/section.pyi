from reports.claims.section import *
