from problems import *
