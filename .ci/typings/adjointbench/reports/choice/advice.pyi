from reports.choice.advice import *
