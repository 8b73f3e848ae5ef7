from reports.question import *
