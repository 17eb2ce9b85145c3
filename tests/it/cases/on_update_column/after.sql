UPDATE t SET a = 'after' WHERE id = 1;
