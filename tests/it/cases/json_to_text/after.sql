UPDATE t SET v = '{"b": 1}' WHERE id = 1;
