std = "lua54"
max_line_length = 100
self = false -- a method may ignore its object
codes = true

files["spec"].std = "+busted"
