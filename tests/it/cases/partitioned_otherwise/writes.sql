INSERT INTO t (id, a) VALUES (3, 'y');
UPDATE t SET a = 'z' WHERE id = 1;
