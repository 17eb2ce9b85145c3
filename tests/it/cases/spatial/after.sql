UPDATE t SET a = 'after' WHERE id = 1;
DELETE FROM t WHERE id = 2;
