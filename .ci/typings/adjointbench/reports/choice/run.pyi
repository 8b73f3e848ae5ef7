from reports.choice.run import *
