from reports.recommendation import *
