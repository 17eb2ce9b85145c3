UPDATE t SET a2 = 'after' WHERE id = 1;
