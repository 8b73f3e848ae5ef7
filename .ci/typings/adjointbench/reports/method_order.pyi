from reports.method_order import *
