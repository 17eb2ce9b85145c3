UPDATE t SET v = 'c' WHERE id = 1;
