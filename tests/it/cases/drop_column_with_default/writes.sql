INSERT INTO t (id, a, title) VALUES (3, 'y', 'three');
UPDATE t SET title = 'uno', a = 'z' WHERE id = 1;
