from reports.choice.method_order import *
