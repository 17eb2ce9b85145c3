UPDATE t SET b = 'after', d = 'd' WHERE id = 1;
