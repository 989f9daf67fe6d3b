return function(_, _, why) return tostring(why) end
