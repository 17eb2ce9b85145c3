UPDATE t SET v = repeat('x', 70000) WHERE id = 1;
