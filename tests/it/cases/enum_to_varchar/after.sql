UPDATE t SET v = 'zz' WHERE id = 1;
