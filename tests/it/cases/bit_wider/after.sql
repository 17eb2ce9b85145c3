UPDATE t SET v = b'11' WHERE id = 1;
