UPDATE t SET a = 'after' WHERE ident = 1;
