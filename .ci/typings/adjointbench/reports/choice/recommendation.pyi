from reports.choice.recommendation import *
