from reports.choice.comparison import *
