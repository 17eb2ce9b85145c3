INSERT INTO t (id, a, n) VALUES (3, 'y', 3);
