UPDATE t SET v = 'no json' WHERE id = 2;
