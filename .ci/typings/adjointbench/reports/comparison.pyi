from reports.comparison import *
