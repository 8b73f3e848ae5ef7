from reports.claims.claim import *
