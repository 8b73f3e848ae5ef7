from reports.claims.tasks import *
