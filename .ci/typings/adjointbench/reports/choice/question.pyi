from reports.choice.question import *
