UPDATE t SET a = 'after' WHERE id = 'a';
UPDATE t SET id = 'bb' WHERE id = 'B';
