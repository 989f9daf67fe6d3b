return function(...) local a={...}; local f=assert(loadfile(a[2])); return f(select(3,...)) end
