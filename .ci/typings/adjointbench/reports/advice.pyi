from reports.advice import *
