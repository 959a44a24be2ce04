"""Pure tensor maths: no modules, no state; tested in double precision."""
